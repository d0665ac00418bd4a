"""What a picture file says of itself in front of its pixels: its kind, its size, and which way up it is.

Decoders take memory for whatever a file claims to be, so this is read first, in plain
Python, and no more of the file than it takes.
Sources: ITU-T T.81, annex B (JPEG); the W3C's PNG specification; CompuServe's GIF89a;
Exif 2.32, 4.6; XMP, part 1, for the orientation that Pillow takes where there is no EXIF.
"""

import itertools
import os
import re
import struct
import warnings
import zlib
from typing import NamedTuple

from cam_base import InputError, first_line

LARGEST_PICTURE = 150_000_000  # pixels of a picture that is read; --largest-picture sets another limit
# Chunks, segments or blocks that are looked through, and bytes between them or in one of them.
MOST_PARTS, MOST_BYTES = 1_000_000, 1 << 20
SOI, EOI, SOS, APP1, TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0x01
RESTARTS = range(0xD0, 0xD8)
MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)  # but those that stand among the pixels
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
XMP_OF_JPEG, XMP_OF_PNG, PROFILE = b"http://ns.adobe.com/xap/1.0/\0", b"XML:com.adobe.xmp", b"Raw profile type exif"
ORIENTATION = 0x0112
INTEGERS = {3: "H", 4: "I"}  # SHORT and LONG, as EXIF numbers them
# Of a GIF's frames only the first is shown, but all are decoded: no more than these pixels' worth.
GIF_PIXELS = 16_000_000

# What Pillow decodes, by its own names, and by what such files begin with.
PILLOWS = {"WEBP": lambda start: start[:4] == b"RIFF" and start[8:] == b"WEBP",
           "TIFF": lambda start: start[:4] in (b"II*\0", b"MM\0*"),
           "AVIF": lambda start: start[4:] in (b"ftypavif", b"ftypavis", b"ftypmif1"),
           "JPEG2000": lambda start: start == b"\0\0\0\x0cjP  \r\n\x87\n" or start[:4] == b"\xff\x4f\xff\x51"}


# Those that Pillow reads whole before it says their size.
WHOLE, MOST_WHOLE = ("WEBP", "AVIF"), 256 << 20


class Header(NamedTuple):
    """What a file says of its picture.

    kind           "JPEG", "PNG", "GIF" or "BMP", or one of PILLOWS
    height, width  of the pixels as they are stored
    orientation    by EXIF, 1 to 8
    needed         how many bytes of the file are needed; None: all
    scans          of a JPEG, where the first of its scans begins
    by_pillow      whether Pillow has to decode it: it is one of PILLOWS, or a PNG with alpha or grey of 16 bits
    """

    kind: str
    height: int
    width: int
    orientation: int = 1
    needed: int | None = None
    scans: int = 0
    by_pillow: bool = False

    @property
    def size(self):
        """(height, width) of the upright picture."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_header(file):
    """The Header of a seekable binary file that stands at its beginning; InputError where it has none that is whole."""
    start = file.read(12)
    for beginning, read in ((b"\xff\xd8\xff", _read_jpeg), (b"\x89PNG\r\n\x1a\n", _read_png),
                            (b"GIF8", _read_gif), (b"BM", _read_bmp)):
        if start.startswith(beginning):
            file.seek(8)
            header = read(file)
            if header.height < 1 or header.width < 1:
                raise InputError("it says that it has no pixels")
            return header
    for kind, is_it in PILLOWS.items():
        if is_it(start):
            return _ask_pillow(file, kind)
    raise InputError("it is no JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF or JPEG 2000")


def _ask_pillow(file, kind):
    """The Header by Pillow, which looks at what stands in front of the pixels."""
    size = file.seek(0, os.SEEK_END)
    if kind in WHOLE and size > MOST_WHOLE:
        raise InputError(f"it has {size:,} bytes; of {kind}, at most {MOST_WHOLE:,} are read")
    try:
        image = open_with_pillow(file, kind)
        width, height = image.size
        # A TIFF is turned upright by Pillow itself, its size with it.
        found = 1 if kind == "TIFF" else image.getexif().get(ORIENTATION, 1)
    except Exception as error:  # Pillow has many kinds for damaged files
        raise InputError(f"its {kind} header is damaged ({first_line(str(error) or type(error).__name__)})") from None
    if height < 1 or width < 1:
        raise InputError("it says that it has no pixels")
    return Header(kind, height, width, found if isinstance(found, int) and 1 <= found <= 8 else 1, by_pillow=True)


def open_with_pillow(file, kind):
    """Pillow's image of a file, nothing of it decoded, of a JPEG without Pillow's own limit of pixels: ours is checked."""
    from PIL import Image
    Image.init()
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.OPEN[kind][0](file, "")


def _take(file, count):
    data = file.read(count)
    if len(data) < count:
        raise InputError("it ends within its header")
    return data


# ---------------------------------------------------------------- JPEG

def _read_jpeg(file):
    file.seek(2)
    size, exif, xmp = None, None, None
    try:
        for _ in range(MOST_PARTS):
            marker = _next_marker(file)
            if marker in (SOI, EOI, SOS):
                break
            if marker == TEM or marker in RESTARTS:
                continue
            length = int.from_bytes(_take(file, 2), "big") - 2
            end = file.tell() + length
            if marker in FRAMES and size is None:
                size = struct.unpack(">xHH", _take(file, 5))
            elif marker == APP1:
                body = _take(file, max(0, length))
                if exif is None and body.startswith(b"Exif\0\0"):
                    exif = body
                elif xmp is None and body.startswith(XMP_OF_JPEG):
                    xmp = body
            if length < 0:
                break
            file.seek(end)
    except InputError:
        if size is None:  # else the decoder will say what is wrong behind it
            raise
    if size is None:
        raise InputError("it does not say its size")
    return Header("JPEG", *size, _orientation(exif, xmp), scans=file.tell())


def _next_marker(file):
    """The next marker's code. What stands in front of it is passed over, as the decoder does."""
    filled = False  # whether the last byte was FF: there may be several before a code
    for _ in range(MOST_BYTES):
        byte = _take(file, 1)
        if filled and byte not in (b"\0", b"\xff"):
            return byte[0]
        filled = byte == b"\xff"
    raise InputError("its header is damaged")


def count_scans(contents, begin, most):
    """How many scans a JPEG has from the first on, which begins at `begin`; no more than most + 1 are counted."""
    scans = 1
    while scans <= most and (marker := MARKER.search(contents, begin)) and contents[marker.end() - 1] != EOI:
        scans += contents[marker.end() - 1] == SOS
        begin = marker.end() + int.from_bytes(contents[marker.end():marker.end() + 2], "big")
    return scans


# ---------------------------------------------------------------- PNG

def _read_png(file):
    length, kind, width, height = struct.unpack(">I4sII", _take(file, 16))
    if kind != b"IHDR" or length != 13:
        raise InputError("it does not begin with its size")
    depth, colours = _take(file, 2)
    by_pillow = colours in (4, 6) or colours == 0 and depth == 16
    file.seek(8 + 12 + 13)
    exif, xmp, seen = None, None, set()
    for _ in range(MOST_PARTS):
        begin = file.read(8)
        length, kind = int.from_bytes(begin[:4], "big"), begin[4:]
        if len(begin) < 8 or kind == b"IEND":
            break
        end = file.tell() + length + 4
        by_pillow |= kind == b"tRNS"
        if kind == b"eXIf" and exif is None:
            exif = file.read(min(length, MOST_BYTES))
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            body = file.read(min(length, MOST_BYTES))
            name = body.partition(b"\0")[0]
            if name in (PROFILE, XMP_OF_PNG) and name not in seen:  # the first alone: each may be unpacked to a thousand times its size
                seen.add(name)
                text = _text(kind, body)
                if name == PROFILE and exif is None:
                    exif = _profile(text)
                elif name == XMP_OF_PNG:
                    xmp = text
        file.seek(end)
    return Header("PNG", height, width, _orientation(exif, xmp), by_pillow=by_pillow)


def _text(kind, body):
    """The text of a textual chunk, behind its name; empty where it cannot be read."""
    text = body.partition(b"\0")[2]
    compressed = kind == b"zTXt" or kind == b"iTXt" and text[:1] == b"\1"
    if kind == b"iTXt":
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]  # behind the language and the translated name
    elif kind == b"zTXt":
        text = text[1:]
    if compressed:
        try:
            text = zlib.decompressobj().decompress(text, MOST_BYTES)
        except zlib.error:
            text = b""
    return text


def _profile(text):
    """EXIF as ImageMagick writes it into a PNG: a line feed, a name, a length, and hexadecimal digits."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return None


# ---------------------------------------------------------------- GIF and BMP

def _read_gif(file):
    """The size is that of the largest of the frames that are decoded, as the decoder has it; not the screen's."""
    file.seek(10)
    _pass_colours(file, _take(file, 3)[0])
    height = width = pixels = 0
    needed = None
    for _ in range(MOST_PARTS):
        kind = file.read(1)
        if kind == b",":
            *_, w, h, flags = struct.unpack("<HHHHB", _take(file, 9))
            if pixels and pixels + w * h > GIF_PIXELS:
                break
            height, width, pixels = max(height, h), max(width, w), pixels + w * h
            _pass_colours(file, flags)
        elif kind != b"!":
            needed = None
            break
        file.seek(1, 1)
        if not _pass_blocks(file):
            needed = None
            break
        needed = file.tell()
    return Header("GIF", height, width, 1, needed)


def _pass_colours(file, flags):
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, 1)


def _pass_blocks(file):
    """Go behind a row of blocks, each of up to 255 bytes; False where the file ends within it."""
    for _ in range(MOST_PARTS):
        length = file.read(1)
        if length in (b"", b"\0"):
            return bool(length)
        file.seek(length[0], 1)
    return False


def _read_bmp(file):
    file.seek(18)
    width, height = struct.unpack("<ii", _take(file, 8))
    return Header("BMP", abs(height), width)  # below 0: the first row is the upper one


# ---------------------------------------------------------------- which way up

def _orientation(exif, xmp):
    """1 to 8, by EXIF or else by XMP; 1 where neither says it, or both are damaged."""
    found = _exif_orientation(re.sub(b"^(Exif\0\0){1,2}", b"", exif or b""))
    if found is None:
        match = re.search(rb'tiff:Orientation(="|>)([0-9])', xmp or b"")
        found = int(match[2]) if match else 1
    return found if 1 <= found <= 8 else 1


def _exif_orientation(tiff):
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        start = struct.unpack_from(f"{order}I", tiff, 4)[0]
        count = struct.unpack_from(f"{order}H", tiff, start)[0]
        for entry in itertools.islice(itertools.count(start + 2, 12), count):
            tag, kind, values = struct.unpack_from(f"{order}HHI", tiff, entry)
            if tag == ORIENTATION:
                known = kind in INTEGERS and values == 1
                return struct.unpack_from(order + INTEGERS[kind], tiff, entry + 8)[0] if known else None
    except struct.error:
        pass
    return None
