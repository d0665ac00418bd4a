"""What a picture file says of itself in front of its pixels: its kind, its size, and which way up it is.

Decoders take memory for whatever a file claims to be, so this is read first, in plain
Python, and no more of the file than it takes.
Sources: ITU-T T.81, annex B (JPEG); the W3C's PNG specification; CompuServe's GIF89a;
Exif 2.32, 4.6; XMP, part 1, for the orientation that Pillow takes where there is no EXIF; ISO/IEC 14496-12 and
23008-12 for the brands of HEIC, AVIF and videos.
"""

import itertools
import os
import re
import struct
import warnings
import zlib
from typing import NamedTuple

from cam_base import InputError, first_line

from .tiff import Page, find_page

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
           "JPEG2000": lambda start: start == b"\0\0\0\x0cjP  \r\n\x87\n" or start[:4] == b"\xff\x4f\xff\x51"}
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two are BigTIFF
# In files that begin with a box "ftyp": brands of pictures. Any other is a video's.
BRANDS = {"AVIF": {b"avif", b"avis"}, "HEIF": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}}
CANONS_RAW = b"crx "
VIDEOS = (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"FLV\1", b"0&\xb2u\x8ef\xcf\x11")  # Matroska, MPEG (twice), Flash, Windows Media
QUICKTIME = (b"moov", b"mdat", b"wide", b"pnot")  # boxes that old ones begin with

# Those that Pillow reads whole before it says their size.
WHOLE, MOST_WHOLE = ("WEBP", "AVIF", "HEIF"), 256 << 20


class Header(NamedTuple):
    """What a file says of its picture.

    kind           "JPEG", "PNG", "GIF" or "BMP", or one of PILLOWS
    height, width  of the pixels as they are stored
    orientation    by EXIF, 1 to 8
    needed         how many bytes of the file are needed; None: all
    scans          of a JPEG, where the first of its scans begins
    by_pillow      whether Pillow has to decode it: it is one of PILLOWS, HEIC or AVIF, a TIFF, or a PNG with alpha
    deep           of a PNG: 16 bits
    page           of a TIFF: the `tiff.Page` that is read
    remark         what people should know: "frame 1 of 12"; or ""
    """

    kind: str
    height: int
    width: int
    orientation: int = 1
    needed: int | None = None
    scans: int = 0
    by_pillow: bool = False
    deep: bool = False
    page: Page | None = None
    remark: str = ""

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
    if start[:4] in TIFFS:
        page, remark = find_page(file)
        return Header("TIFF", page.height, page.width, page.orientation, page.stored, by_pillow=True, page=page, remark=remark)
    for kind, is_it in PILLOWS.items():
        if is_it(start):
            return _ask_pillow(file, kind)
    if start[4:8] == b"ftyp":
        brands = _brands(file, start)
        for kind, known in BRANDS.items():
            if brands & known:
                return _ask_pillow(file, kind)
        if CANONS_RAW in brands:
            raise InputError("it is a camera's raw file (CR3), which is not read: save it as JPEG or TIFF")
    if _is_video(file, start):
        raise InputError("it is a video: take pictures out of it first, for example by ffmpeg -i VIDEO -r 1 %05d.jpg")
    raise InputError("it is no JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, HEIC or JPEG 2000" if start else "it is empty")


def _brands(file, start):
    """What a file is compatible with, by its first box."""
    file.seek(8)
    body = file.read(max(0, min(int.from_bytes(start[:4], "big"), 4096) - 8))
    return {body[:4], *(body[place:place + 4] for place in range(8, len(body), 4))}


def _is_video(file, start):
    if start[4:8] == b"ftyp" or start[4:8] in QUICKTIME or start.startswith(VIDEOS) or start[:4] == b"RIFF" and start[8:] == b"AVI ":
        return True
    file.seek(0)
    return file.read(3 * 188)[::188] == b"GGG"  # packets of MPEG's transport stream


def _ask_pillow(file, kind):
    """The Header by Pillow, which looks at what stands in front of the pixels."""
    size = file.seek(0, os.SEEK_END)
    if kind in WHOLE and size > MOST_WHOLE:
        raise InputError(f"it has {size:,} bytes; of {kind}, at most {MOST_WHOLE:,} are read")
    try:
        image = open_with_pillow(file, kind)
        width, height = image.size
        found, frames = image.getexif().get(ORIENTATION, 1), getattr(image, "n_frames", 1)
    except InputError:
        raise
    except Exception as error:  # Pillow has many kinds for damaged files
        raise InputError(f"its {kind} header is damaged ({first_line(str(error) or type(error).__name__)})") from None
    if height < 1 or width < 1:
        raise InputError("it says that it has no pixels")
    return Header(kind, height, width, found if isinstance(found, int) and 1 <= found <= 8 else 1, by_pillow=True,
                  remark=_frame(image.tell() + 1, frames))


def _frame(number, frames, more=False):
    return f"frame {number} of {frames}" + " or more" * more if frames > 1 else ""


def open_with_pillow(file, kind):
    """Pillow's image of a file, nothing of it decoded, of a JPEG without Pillow's own limit of pixels: ours is checked."""
    from PIL import Image
    Image.init()
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _heif_reader()(file, "") if kind == "HEIF" else Image.OPEN[kind][0](file, "")


def _heif_reader():
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise InputError("it is HEIC, as iPhones save pictures: pip install pillow-heif, or save it as JPEG") from None
    return HeifImageFile


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
                bits, *size = struct.unpack(">BHH", _take(file, 5))
                if bits != 8:
                    raise InputError(f"it is a JPEG of {bits} bits a channel; of JPEG, those of 8 are read")
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
        if size is None or bits != 8:  # else the decoder will say what is wrong behind it
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
    by_pillow = colours in (4, 6)
    file.seek(8 + 12 + 13)
    exif, xmp, seen, frames = None, None, set(), 1
    for _ in range(MOST_PARTS):
        begin = file.read(8)
        length, kind = int.from_bytes(begin[:4], "big"), begin[4:]
        if len(begin) < 8 or kind == b"IEND":
            break
        end = file.tell() + length + 4
        by_pillow |= kind == b"tRNS"
        if kind == b"acTL":
            frames = int.from_bytes(file.read(4), "big")
        elif kind == b"eXIf" and exif is None:
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
    return Header("PNG", height, width, _orientation(exif, xmp), by_pillow=by_pillow, deep=depth == 16, remark=_frame(1, frames))


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
    height = width = pixels = frames = 0
    needed, more = None, False
    for _ in range(MOST_PARTS):
        kind = file.read(1)
        if kind == b",":
            *_, w, h, flags = struct.unpack("<HHHHB", _take(file, 9))
            more = pixels > 0 and pixels + w * h > GIF_PIXELS
            frames += 1
            if more:
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
    return Header("GIF", height, width, 1, needed, remark=_frame(1, frames, more))


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
