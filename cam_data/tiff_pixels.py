"""The pixels of a TIFF's page: as a file of its own for Pillow, or all of its numbers, where Pillow cuts them to 8 bits or knows no such.

Sources: TIFF 6.0 (Adobe, 1992) and its technical note 3 (predictor of floats). libtiff, in Pillow, decompresses; all that a file says is
checked before.
"""

import io
import math
import struct

import numpy as np

from cam_base import InputError
from . import tiff

MOST_NUMBERS = 2 << 30  # bytes of a page's numbers
GROUP = 16 << 20  # bytes that are decompressed at a time
MOST_IN_PIECE = 1 << 27  # bytes of one strip or tile; more would be too large a picture for Pillow
# Which a page needs to be decoded where it is a file of its own: also those of faxes and of YCbCr.
COPIED = (tiff.WIDTH, tiff.LENGTH, tiff.BITS, tiff.COMPRESSION, tiff.PHOTOMETRIC, tiff.FILL_ORDER, tiff.SAMPLES, tiff.ROWS_PER_STRIP,
          tiff.PLANAR, 292, 293, tiff.PREDICTOR, tiff.COLOUR_MAP, tiff.TILE_WIDTH, tiff.TILE_LENGTH, tiff.EXTRA_SAMPLES,
          tiff.SAMPLE_FORMAT, tiff.JPEG_TABLES, 529, 530, 531, 532)


def alone(page):
    """A page as a TIFF of its own, not turned: a binary file."""
    offsets, counts = page.blocks()
    tiled = tiff.TILE_OFFSETS in page.entries
    entries = {tag: page.data(tag) for tag in COPIED if tag in page.entries}
    return io.BytesIO(_file_of(page.layout.order, entries, [page.read(*place) for place in zip(offsets.tolist(), counts.tolist())], tiled))


def _file_of(order, entries, blocks, tiled=False):
    """The bytes of a TIFF with one page. entries {tag: (type, count, bytes)}; blocks: its strips or tiles."""
    ends = np.cumsum([len(block) for block in blocks], dtype=np.int64)
    places = (tiff.TILE_OFFSETS, tiff.TILE_COUNTS) if tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_COUNTS)
    sizes = np.diff(ends, prepend=0).astype(order + "u4").tobytes()
    entries = entries | {places[0]: (4, len(blocks), bytes(4 * len(blocks))), places[1]: (4, len(blocks), sizes)}
    begin = 8 + 2 + 12 * len(entries) + 4 + sum(len(data) + len(data) % 2 for *_, data in entries.values() if len(data) > 4)
    if begin + int(ends[-1]) >= 1 << 32:
        raise InputError("its page is too large for a TIFF of its own")
    entries[places[0]] = (4, len(blocks), (begin + ends - np.diff(ends, prepend=0)).astype(order + "u4").tobytes())
    directory, behind, place = [], [], 8 + 2 + 12 * len(entries) + 4
    for tag, (kind, count, data) in sorted(entries.items()):
        if len(data) > 4:
            data += bytes(len(data) % 2)
            behind.append(data)
            directory.append(struct.pack(order + "HHII", tag, kind, count, place))
            place += len(data)
        else:
            directory.append(struct.pack(order + "HHI4s", tag, kind, count, data))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return b"".join([head, struct.pack(order + "H", len(directory)), *directory, bytes(4), *behind, *blocks])


def numbers(page):
    """All samples of a page as they are stored, [H, W, samples] of `page.dtype` in the machine's order of bytes."""
    height, width, dtype = page.height, page.width, page.dtype
    tiled = tiff.TILE_OFFSETS in page.entries
    side = page.integer(tiff.TILE_WIDTH, 0) if tiled else width
    rows = page.integer(tiff.TILE_LENGTH, 0) if tiled else min(page.integer(tiff.ROWS_PER_STRIP, height), height)
    planes, each = (page.samples, 1) if page.integer(tiff.PLANAR, 1) == 2 else (1, page.samples)
    size = side * each * dtype.itemsize  # bytes of a block's row
    if side < 1 or rows < 1 or side * rows > 2 * page.pixels + (1 << 20):
        raise InputError("its TIFF header is damaged")
    if page.pixels * page.samples * dtype.itemsize > MOST_NUMBERS:
        raise InputError(f"its numbers take {page.pixels * page.samples * dtype.itemsize:,} bytes; at most {MOST_NUMBERS:,} are read")
    across, down = math.ceil(width / side), math.ceil(height / rows)
    offsets, counts = page.blocks()
    if len(offsets) < planes * across * down:
        raise InputError("its TIFF header is damaged")
    pixels = np.empty((height, width, page.samples), dtype.newbyteorder("="))
    together = max(1, GROUP // (size * rows))
    for plane in range(planes):
        for first in range(0, across * down, together):
            group = range(first, min(first + together, across * down))
            blocks = [page.read(int(offsets[plane * across * down + one]), int(counts[plane * across * down + one])) for one in group]
            # Strips end with the picture, tiles beyond it.
            length = len(group) * rows if tiled else min(height - first * rows, len(group) * rows)
            decoded = _decompressed(blocks, page, length, rows, size)
            values = _undo_predictor(decoded, dtype, side, each, page.integer(tiff.PREDICTOR, 1))
            for place, one in enumerate(group):
                y, x = one // across * rows, one % across * side
                block = values[place * rows:(place + 1) * rows][:height - y, :width - x]
                pixels[y:y + len(block), x:x + block.shape[1], plane:plane + each] = block
    return pixels


def _decompressed(blocks, page, length, rows, size):
    """uint8 [length, size] of strips of so many rows each."""
    if page.compression == tiff.PLAIN:
        data = b"".join(block[:rows * size] for block in blocks)
    else:
        if size * rows > MOST_IN_PIECE:
            raise InputError(f"it is compressed in pieces of {size * rows:,} bytes; at most {MOST_IN_PIECE:,} are read")
        from PIL import Image
        # Its bytes as grey pixels, whatever they mean.
        entries = {tiff.WIDTH: size, tiff.LENGTH: length, tiff.BITS: 8, tiff.COMPRESSION: page.compression,
                   tiff.PHOTOMETRIC: tiff.BLACK_IS_ZERO, tiff.SAMPLES: 1, tiff.ROWS_PER_STRIP: rows}
        order = page.layout.order
        entries = {tag: (4, 1, struct.pack(order + "I", value)) for tag, value in entries.items()}
        Image.init()
        image = Image.OPEN["TIFF"][0](io.BytesIO(_file_of(order, entries, blocks)), "")
        image.load()
        data = image.tobytes()
    if len(data) < length * size:
        raise InputError("it is cut off, or its TIFF header is damaged")
    return np.frombuffer(data, np.uint8, length * size).reshape(length, size)


def _undo_predictor(data, dtype, side, each, predictor):
    """[rows, side, each] of numbers, from bytes [rows, bytes] that hold them, or how they differ from the one to the left."""
    rows = len(data)
    if predictor == 3 and dtype.kind == "f":
        # Bytes of equal weight lie together, the highest first, whatever the file's order.
        sums = np.cumsum(data.reshape(rows, -1, each), axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, side * each)
        return np.ascontiguousarray(sums.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))[..., 0].reshape(rows, side, each)
    values = np.ascontiguousarray(data).view(dtype).reshape(rows, side, each)
    if predictor == 2:
        whole = np.dtype(f"u{dtype.itemsize}")
        differences = values.view(whole.newbyteorder(dtype.byteorder)).astype(whole)
        values = np.cumsum(differences, axis=1, dtype=whole).view(dtype.newbyteorder("="))
    elif predictor != 1:
        raise InputError(f"it has TIFF's predictor {predictor}, which is not read")
    return values
