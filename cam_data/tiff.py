"""TIFF and BigTIFF: what a file's pages say of themselves, and which of them is its picture.

Sources: TIFF 6.0 (Adobe, 1992) and its technical note 1 (SubIFDs); BigTIFF (libtiff); DNG 1.7 (Adobe); GDAL's no-data tag.
"""

import struct
from typing import NamedTuple

import numpy as np

from cam_base import InputError

MOST_PAGES, MOST_ENTRIES, MOST_BYTES = 100_000, 4096, 16 << 20  # of a file, of a page, of an entry
PILLOWS_MOST = 80_000_000  # pixels; from 89 million on Pillow warns of a bomb, and it refuses twice as many
# Entries of a page, by TIFF's numbers.
SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR = 273, 274, 277, 278, 279, 284, 317
COLOUR_MAP, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS, SUB_IFDS = 320, 322, 323, 324, 325, 330
EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, XMP, NO_DATA = 338, 339, 347, 700, 42113
REDUCED, MASK = 1, 4  # bits of NewSubfileType
INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
FORMATS = {1: "u", 2: "i", 3: "f", 4: "u"}  # 4: undefined
PLAIN, OLD_JPEG = 1, 6
BYTEWISE = {PLAIN, 5, 8, 32773, 32946, 34925, 50000}  # compressions of bytes, whatever they mean
BY_PILLOW = BYTEWISE | {2, 3, 4, 7, 32771, 32809, 34676, 34677, 50001}
RAW = {32803, 34892}  # a camera's, of one colour a pixel, or linear


class Layout(NamedTuple):
    """order  "<" or ">"; big: BigTIFF"""

    order: str
    big: bool


class Page:
    """What an image file directory says. `next`: where the next one is, or 0; `first`: whether it is the file's first."""

    def __init__(self, file, layout, offset, first=False):
        self.file, self.layout, self.first = file, layout, first
        go_to(file, offset)
        count, entry, address = ("Q", "HHQ8s", "Q") if layout.big else ("H", "HHI4s", "I")
        count, entry, address = (struct.Struct(layout.order + form) for form in (count, entry, address))
        entries = count.unpack(take(file, count.size))[0]
        if entries > MOST_ENTRIES:
            raise InputError("its TIFF header is damaged")
        self.entries = {tag: rest for tag, *rest in entry.iter_unpack(take(file, entries * entry.size))}
        following = file.read(address.size)
        self.next = address.unpack(following)[0] if len(following) == address.size else 0

    def data(self, tag):
        """(type, count, bytes) of an entry."""
        kind, count, inline = self.entries[tag]
        size = SIZES.get(kind, 0) * count
        if size <= len(inline):
            return kind, count, inline[:size]
        if size > MOST_BYTES:
            raise InputError("its TIFF header is damaged")
        go_to(self.file, struct.unpack(self.layout.order + ("Q" if self.layout.big else "I"), inline)[0])
        return kind, count, take(self.file, size)

    def integers(self, *tags):
        """The values of the first of these entries that is there: int64 [n]; empty where there are none."""
        for tag in tags:
            if tag in self.entries:
                kind, _, data = self.data(tag)
                if kind in INTEGERS:
                    return np.frombuffer(data, self.layout.order + INTEGERS[kind]).astype(np.int64)
        return np.zeros(0, np.int64)

    def integer(self, tag, default):
        values = self.integers(tag)
        return int(values[0]) if len(values) else default

    @property
    def width(self):
        return self.integer(WIDTH, 0)

    @property
    def height(self):
        return self.integer(LENGTH, 0)

    @property
    def pixels(self):
        return self.height * self.width

    @property
    def kind(self):
        """NewSubfileType."""
        return self.integer(SUBFILE, 0)

    @property
    def orientation(self):
        found = self.integer(ORIENTATION, 1)
        return found if 1 <= found <= 8 else 1

    @property
    def photometric(self):
        return self.integer(PHOTOMETRIC, WHITE_IS_ZERO)

    @property
    def compression(self):
        return self.integer(COMPRESSION, PLAIN)

    @property
    def samples(self):
        return self.integer(SAMPLES, 1)

    @property
    def bits(self):
        """Of each sample; 0 where they differ, or nothing says them."""
        values = set(self.integers(BITS).tolist()) or {1}
        return values.pop() if len(values) == 1 else 0

    @property
    def has_alpha(self):
        """Whether the sample behind the colours is said to be transparency."""
        colours = 3 if self.photometric == RGB else 1
        return self.samples == colours + 1 and self.integer(EXTRA_SAMPLES, 0) in (1, 2)

    @property
    def premultiplied(self):
        return self.has_alpha and self.integer(EXTRA_SAMPLES, 0) == 1

    @property
    def no_data(self):
        """The number that stands for none, by GDAL; None."""
        if NO_DATA not in self.entries or self.entries[NO_DATA][1] > 64:
            return None
        try:
            return float(self.data(NO_DATA)[2].rstrip(b"\0 "))
        except ValueError:
            return None

    @property
    def dtype(self):
        """Of its numbers, in the file's order of bytes; None where NumPy has none."""
        forms = set(self.integers(SAMPLE_FORMAT).tolist()) or {1}
        form = FORMATS.get(forms.pop()) if len(forms) == 1 else None
        known = form and self.bits in ((16, 32, 64) if form == "f" else (8, 16, 32, 64))
        return np.dtype(f"{self.layout.order}{form}{self.bits // 8}") if known else None

    @property
    def as_numbers(self):
        """Whether `numbers` reads it: Pillow would cut it down to 8 bits, or does not know it at all."""
        alone = self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
        return (self.compression in BYTEWISE and self.dtype is not None and self.integer(FILL_ORDER, 1) == 1
                and (alone or self.photometric == RGB and self.samples >= 3)
                and (self.bits > 8 or self.dtype.kind == "i" or self.samples > 4 or alone and self.samples > 1 and not self.has_alpha
                     or self.pixels > PILLOWS_MOST))

    def problem(self):
        """What keeps it from being shown, in words; None."""
        if self.photometric in RAW:
            return "raw pixels of a camera"
        # Of old JPEG, parts lie outside of the strips: such a page is none of its own.
        if self.compression not in BY_PILLOW and not (self.compression == OLD_JPEG and self.is_plain):
            return f"TIFF's compression {self.compression}, which is not read"
        if set(self.integers(SAMPLE_FORMAT).tolist()) & {5, 6}:
            return "complex numbers"
        if self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) and self.samples > 3:
            return f"{self.samples} bands and does not say which are red, green and blue: write three of them, in this order, to a file"
        return None

    def band_remark(self):
        """Which of its bands are shown, where these are not all; ""."""
        if self.photometric == RGB and self.samples > 3 and not self.has_alpha:
            return f"bands 1 to 3 of {self.samples}"
        if self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) and not self.has_alpha and self.samples in (2, 3):
            return "band 1 of 2" if self.samples == 2 else "its three bands as red, green and blue"
        return ""

    @property
    def is_plain(self):
        """Whether Pillow finds this page by itself and leaves it as it lies: the first of a TIFF, which no entry turns."""
        return self.first and not self.layout.big and self.orientation == 1 and XMP not in self.entries

    def in_words(self):
        """As a message names what it is."""
        return f"{self.samples} x {self.bits or 'several'} bits, photometry {self.photometric}, compression {self.compression}"

    @property
    def stored(self):
        """Bytes of its strips or tiles, as it says; 0 where `numbers` checks them."""
        return 0 if self.as_numbers else int(self.integers(TILE_COUNTS, STRIP_COUNTS).sum())

    def blocks(self):
        """(offsets, bytes) of its strips or tiles: int64 [n] each. InputError where the file has not so many bytes."""
        offsets, counts = self.integers(TILE_OFFSETS, STRIP_OFFSETS), self.integers(TILE_COUNTS, STRIP_COUNTS)
        end = self.file.seek(0, 2)
        if len(offsets) == 1 and not len(counts) and self.compression == PLAIN:
            counts = np.array([self.pixels * self.samples * max(1, self.bits) // 8])
        if not 0 < len(offsets) <= len(counts):
            raise InputError("its TIFF header is damaged")
        counts = counts[:len(offsets)]
        if offsets.min() < 0 or counts.min() < 0 or (offsets > end - counts).any():
            raise InputError("it is cut off, or its TIFF header is damaged")
        if counts.sum() > 2 * self.pixels * self.samples * max(8, self.bits) // 8 + MOST_BYTES:
            raise InputError("it has more bytes than its pixels can need")
        return offsets, counts

    def read(self, offset, count):
        self.file.seek(offset)
        return take(self.file, count)


def find_page(file):
    """(Page, remark) of an open TIFF: the first one that is no preview, and in words what else there is, or "".

    A page of less than half as many pixels as the largest that can be read is a preview, and the largest is taken where the first ones
    are such. A DNG's raw pixels are not read, so the largest of its previews is. Raises InputError where none can be read.
    """
    file.seek(0)
    start = take(file, 8)
    layout = Layout("<" if start[:2] == b"II" else ">", start[2:4] in (b"+\0", b"\0+"))
    offset = struct.unpack(layout.order + ("Q" if layout.big else "4xI"), take(file, 8) if layout.big else start)[0]
    chain, seen = [], set()
    while offset and offset not in seen and len(chain) < MOST_PAGES:
        seen.add(offset)
        chain.append(Page(file, layout, offset, first=not chain))
        offset = chain[-1].next
    if not chain:
        raise InputError("it has no pages")
    below = [Page(file, layout, int(offset)) for offset in chain[0].integers(SUB_IFDS)[:MOST_ENTRIES]]
    pages = [page for page in chain + below if page.pixels and not page.kind & MASK]
    if not pages:
        raise InputError("it says that it has no pixels")
    largest = max(pages, key=lambda page: page.pixels)
    readable = [page for page in pages if page.problem() is None]
    if not readable:
        raise InputError(f"it has {largest.problem()}")
    most = max(page.pixels for page in readable)
    page = next(page for page in readable if 2 * page.pixels >= most)
    remarks = [_place_in(page, chain, largest), page.band_remark()]
    return page, ", ".join(filter(None, remarks))


def _place_in(page, chain, largest):
    """"page 1 of 12", or that it is a preview; ""."""
    if 2 * page.pixels < largest.pixels:
        return f"its preview of {page.width} x {page.height}, not its {largest.problem()} of {largest.width} x {largest.height}"
    whole = [one for one in chain if not one.kind & (REDUCED | MASK)]
    among = whole if page in whole else chain
    if page not in among or len(among) == 1:
        return ""
    number = among.index(page) + 1
    return f"page {number} of {len(among)}" + ", the largest" * (number > 1)


def go_to(file, offset):
    if not 0 < offset < 1 << 62:
        raise InputError("its TIFF header is damaged")
    file.seek(offset)


def take(file, count):
    """So many bytes; InputError where the file has fewer."""
    data = file.read(count)
    if len(data) < count:
        raise InputError("it ends within its header")
    return data
