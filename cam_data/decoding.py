"""From a picture file, or its bytes, to upright RGB pixels."""

import contextlib
import io
import os
import threading

import numpy as np

from cam_base import InputError, first_line, open_regular
from ops.quiet_tensorflow import tf
from . import tiff_pixels
from .as_seen import of_numbers, of_page, pixels_of, say_of
from .headers import LARGEST_PICTURE, count_scans, open_with_pillow, read_header

# From so many pixels on a picture is large: it is read reduced where its reader has no use for all of them, and
# one at a time. A smaller one is always read as it is.
LARGE = 16_000_000
# A file may have 8 bytes for each pixel, as a PNG of 16 bits with alpha that cannot be compressed, and besides
# profiles, previews, or a short film behind the picture.
BYTES_OF_PIXEL, BYTES_BESIDES = 8, 32_000_000
# What TensorFlow's decoder of JPEG writes, in bytes, is less than this; Pillow decodes what is more.
MOST_DECODED = 1 << 29
# A progressive JPEG has about ten; each of them takes as long as a decoding.
MOST_SCANS = 100
JPEGS_END = b"\xff\xd9"
BLOCK = 1 << 20


class LargeAlone:
    """`with alone(pixels) as large`: of threads with pictures that have so many pixels, those with a large one wait for each other."""

    def __init__(self):
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def __call__(self, pixels):
        large = pixels >= LARGE
        with self._lock if large else contextlib.nullcontext():
            yield large


_large_alone = LargeAlone()


def read_picture(source, largest=LARGEST_PICTURE):
    """Upright RGB, uint8 [H, W, 3], of a JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, JPEG 2000 or, where pillow-heif is installed, HEIC:
    all of its pixels. See `read_reduced`."""
    return read_reduced(source, None, largest)[0]


def read_values(source, largest=LARGEST_PICTURE):
    """The numbers of a picture's file, not as a person sees it: uint8 [H, W, 3], an alpha channel dropped, of 16 bits the upper 8."""
    return read_reduced(source, None, largest, as_seen=False)[0]


def read_reduced(source, reduce_to, largest=LARGEST_PICTURE, as_seen=True, keep_shape=False, name="these bytes"):
    """A picture as large as its reader needs it, and its full size.

    Grey becomes RGB; CMYK is converted; what is transparent is seen on white. Greys of more than 8 bits are shown from their least to
    their largest value, colours too where they use less than half of their range, all channels together; hot pixels and what
    stands for no data do not count (`display_range`). Of an animation or a stack the first frame is taken, of a TIFF or DNG with
    previews in front the largest page, which is said. The name's ending does not matter. The picture is turned upright as its EXIF says.

    A picture of 16 megapixels or more, and only such a one, is reduced so that
    none of its sides is longer than `reduce_to`, each side by its own factor:
    a JPEG first by its decoder, to 1/2, 1/4 or 1/8 as long as both sides keep
    `reduce_to` pixels, then by averaging. Ask for twice what is needed, and
    what follows is as good as from all pixels. Only one such picture is decoded
    at a time. At most about four times its pixels' bytes are in memory, and
    64 MB. Nothing else is shared: threads may call this at once, and decode
    at once, without Python's lock.

    source      a path, or the bytes of a file
    reduce_to   pixels, a whole number of at least 1; None: never reduced
    largest     most pixels that the picture may have
    keep_shape  reduce both sides by one factor, so that the shorter one has `reduce_to` pixels
    as_seen     False: a PNG's alpha is dropped, and of its 16 bits the upper 8 are taken
    name        of bytes, in errors
    returns     (pixels uint8 [h, w, 3], upright; (H, W), the upright picture's full size)
    raises      InputError, in one line, for what is no regular file (nothing else is read), no picture, or
                larger: as its header says, before any of its pixels are read
    """
    name = name if isinstance(source, bytes) else os.fspath(source)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as file:
            header = _checked_header(file, name, largest)
            if not as_seen and header.kind == "PNG":
                header = header._replace(by_pillow=False, deep=False)
            with _large_alone(header.height * header.width) as large:
                pixels = _decode(file, header, name, reduce_to if large else None, keep_shape)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read as a picture ({error.strerror or error})") from None
    if header.remark:
        say_of(name, header.remark)
    return pixels, header.size


def _checked_header(file, name, largest):
    """The file's Header; InputError where it has none, or is larger than it may be."""
    try:
        header = read_header(file)
    except InputError as error:
        raise InputError(f"{name}: cannot be read as a picture ({error})") from None
    pixels = header.height * header.width
    if pixels > largest:
        raise InputError(f"{name}: has {pixels / 1e6:,.1f} megapixels ({header.width} x {header.height}); "
                         f"at most {largest / 1e6:,g} are read: --largest-picture sets the limit")
    needed = file.seek(0, os.SEEK_END) if header.needed is None else header.needed
    most = BYTES_OF_PIXEL * pixels + BYTES_BESIDES
    if needed > most:
        raise InputError(f"{name}: has {needed:,} bytes; a picture of {header.width} x {header.height} pixels never "
                         f"needs more than {most:,}")
    return header


def _decode(file, header, name, reduce_to, keep_shape):
    """The upright pixels, reduced as `read_reduced` says, or all of them where `reduce_to` is None."""
    file.seek(0)
    if header.by_pillow and not header.deep:
        return _by_pillow_reduced(file, header, name, reduce_to, keep_shape)
    contents = file.read() if header.needed is None else file.read(header.needed) + b";"
    # Each scan has two bytes by which it starts. That they are counted first saves nearly all files the search for markers.
    if header.kind == "JPEG" and _starts_of_scans(contents) > MOST_SCANS and count_scans(contents, header.scans, MOST_SCANS) > MOST_SCANS:
        raise InputError(f"{name}: cannot be read as a picture (it has more than {MOST_SCANS} scans)")
    ratio = _ratio(header, reduce_to)
    height, width = -(-header.height // ratio), -(-header.width // ratio)
    if header.kind == "JPEG" and 3 * height * width >= MOST_DECODED:
        return _by_pillow_reduced(io.BytesIO(contents), header, name, reduce_to, keep_shape)
    with tf.device("CPU:0"):
        # The only copy from here on. Of plain bytes TensorFlow would make four on its way.
        data = tf.constant(np.array(contents, dtype=object))
        try:
            if header.kind == "JPEG":
                # TensorFlow's default method is faster by a hair, and up to 16 of 255 away from what Pillow and the
                # published networks' origins see.
                pixels = tf.io.decode_jpeg(data, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE",
                                           acceptable_fraction=1.0)  # for its default, a whole number, TensorFlow goes a longer way
            elif header.deep:
                pixels = of_numbers(np.asarray(tf.io.decode_png(data, dtype=tf.uint16)), name)
            else:
                pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
        except tf.errors.OpError:
            raise InputError(f"{name}: cannot be read as a picture ({_damage(header, contents)})") from None
        if tuple(pixels.shape) != (height, width, 3):
            raise InputError(f"{name}: cannot be read as a picture (its header contradicts its pixels)")
        if reduce_to:
            pixels = _shrink(pixels, reduce_to, keep_shape)
    return turn_upright(np.asarray(pixels), header.orientation)


def _damage(header, contents):
    """What is wrong with a file that TensorFlow does not decode."""
    if header.kind == "JPEG" and contents.find(JPEGS_END, header.scans) < 0:
        return "it is cut off: the end of its pixels is missing"
    return f"its {header.kind} data are damaged or cut off"


def _starts_of_scans(contents):
    """How often FF DA is among the bytes: in an eighth of the time of their own `count`."""
    values, count = np.frombuffer(contents, np.uint8), 0
    for begin in range(0, len(values), BLOCK):  # of which the last byte is the next one's first, too
        block = values[begin:begin + BLOCK + 1]
        count += np.count_nonzero((block[:-1] == 0xFF) & (block[1:] == 0xDA))
    return count


def _ratio(header, reduce_to):
    """By how much the decoder of JPEG reduces each side."""
    ratio = 1
    while header.kind == "JPEG" and reduce_to and ratio < 8 and min(header.height, header.width) >= 2 * ratio * reduce_to:
        ratio *= 2
    return ratio


def _by_pillow_reduced(file, header, name, reduce_to, keep_shape):
    pixels = by_pillow(file, header, name)
    return turn_upright(np.asarray(_shrink(pixels, reduce_to, keep_shape)) if reduce_to else pixels, header.orientation)


def by_pillow(file, header, name):
    """uint8 [H, W, 3] as a person sees the picture, not turned: what is transparent on white, greys of 16 bits by their own range."""
    try:
        if header.page and header.page.as_numbers:
            return of_page(header.page, name)
        # The first frame. Its orientation is ours to undo, and Pillow leaves it alone.
        moved = header.page and not header.page.is_plain
        pixels = pixels_of(open_with_pillow(tiff_pixels.alone(header.page) if moved else file, header.kind), name)
    except MemoryError:
        raise
    except InputError as error:
        raise InputError(f"{name}: cannot be read as a picture ({error})") from None
    except Exception as error:  # Pillow has many kinds for damaged files
        raise InputError(f"{name}: cannot be read as a picture ({_damage_by_pillow(header, error)})") from None
    if pixels.shape[:2] != (header.height, header.width):
        raise InputError(f"{name}: cannot be read as a picture (its header contradicts its pixels)")
    return pixels


def _damage_by_pillow(header, error):
    if "truncated" in str(error):
        return "it is cut off"
    if header.page:
        return f"its TIFF data are damaged, or of a kind that is not read: {header.page.in_words()}"
    return first_line(str(error) or type(error).__name__)


def _shrink(pixels, reduce_to, keep_shape):
    """The mean of the pixels that fall together when no side is to be longer than `reduce_to`, or, of one shape, the shorter one; uint8."""
    sides = list(pixels.shape[:2])
    shorter = min(sides)
    reduced = [max(1, round(side * min(1, reduce_to / shorter))) for side in sides] if keep_shape else [min(side, reduce_to) for side in sides]
    if reduced == sides:
        return pixels
    means = tf.raw_ops.ResizeArea(images=pixels[tf.newaxis], size=reduced)[0]
    return tf.cast(tf.round(means), tf.uint8)


def turn_upright(picture, orientation):
    """Undo EXIF orientation 1-8 (Exif 2.32, 4.6.4 A): 5 to 8 are transposed, then both may be mirrored."""
    if orientation >= 5:
        picture = picture.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
