"""A strip of pictures: the picture itself, then one panel for each class with its heat map and box."""

import bisect
import functools
import itertools
from typing import NamedTuple

import numpy as np

from .arguments import listed, real_array, real_boxes, shown
from .overlays import DARK, LIGHT, WHOLE, boxes_and_peaks, coloured, faded, levels, mark_segments, outline, outline_truth, palette, rgb, share_of_one, unit_map
from .quiet_tensorflow import tf

PANEL_HEIGHT = 240
LETTERS, LINE = 20, 32  # of a caption: height of its letters and of its line; they are read on strips shown at half their size
GAP = 6
COLUMNS = 8  # panels beside each other; more go on below


def panels(picture, heat_maps, boxes, captions, opacity=0.5, colour_map="jet", segments=None, true_boxes=()):
    """Draw what a network sees in a picture.

    picture    uint8 [H, W, 3], RGB
    heat_maps  [k, h, w] in [0, 1], of any size: they cover the whole picture
    boxes      [k, 4]: x0, y0, x1, y1 in pixels of the picture, half-open; None: none is drawn
    captions   k strings; None: there is no line for them
    opacity    of the heat maps, in [0, 1]
    colour_map a name that matplotlib knows
    segments   k lists of what `draw_segments` takes, in pixels of the picture, or None
    true_boxes [m, 4], as `boxes`: drawn in green on every panel
    returns    uint8 [h', w', 3]: k + 1 panels, eight side by side, captions below
    raises     ValueError when the numbers of maps, boxes and captions differ, or for what
               is no picture, heat map, opacity, colour map (as `overlay`), box or text
    """
    return np.asarray(strip(picture, heat_maps, boxes, captions, opacity, colour_map, segments, true_boxes))


def strip(picture, heat_maps, boxes, captions, opacity=0.5, colour_map="jet", segments=None, true_boxes=()):
    """As `panels`, as an image of Pillow, which `encode_jpeg` takes without another copy."""
    picture, opacity = rgb(picture), share_of_one(opacity, "opacity")
    palette(colour_map)  # which may be unknown
    heat_maps = [unit_map(heat_map, f"heat_maps[{number}]")
                 for number, heat_map in enumerate(listed(heat_maps, "heat_maps"))]
    nothing, line = [None] * len(heat_maps), GAP if captions is None else LINE
    boxes, true_boxes = nothing if boxes is None else _boxes(boxes, "boxes"), _boxes(true_boxes, "true_boxes")
    captions = nothing if captions is None else listed(captions, "captions")
    if captions is not nothing and not all(isinstance(caption, str) for caption in captions):
        raise ValueError("captions must be strings")
    segments = [()] * len(boxes) if segments is None else listed(segments, "segments")
    if len(segments) != len(boxes):
        raise ValueError(f"segments: {len(segments)} lists do not belong to {len(boxes)} boxes")
    segments = [boxes_and_peaks(some, f"segments[{number}]") for number, some in enumerate(segments)]
    if not len(heat_maps) == len(boxes) == len(captions):
        raise ValueError(f"{len(heat_maps)} heat maps, {len(boxes)} boxes and "
                         f"{len(captions)} captions do not belong together")
    return _drawn(picture, heat_maps, boxes, captions, line, opacity, colour_map, segments, true_boxes)


def _boxes(values, name):
    """The values as finite boxes, float [k, 4]."""
    boxes = real_array(values, name)
    boxes = real_boxes(boxes, name) if boxes.size else np.zeros((0, 4))
    if boxes.ndim != 2 or not np.isfinite(boxes).all() or (boxes[:, :2] > boxes[:, 2:]).any():
        raise ValueError(f"{name} must be finite [k, 4], x0 <= x1 and y0 <= y1; they are {shown(boxes.tolist())}")
    return boxes


def _drawn(picture, heat_maps, boxes, captions, line, opacity, colour_map, segments, true_boxes):
    from PIL import Image, ImageChops, ImageDraw
    height, width = picture.shape[:2]
    small, share = panel(picture), round(WHOLE * opacity)
    shrunk, under = Image.fromarray(small), Image.fromarray(faded(small, WHOLE - share))
    panel_width = shrunk.width
    columns = min(1 + len(boxes), COLUMNS)
    rows = -(-(1 + len(boxes)) // columns)
    strip = Image.new("RGB", ((panel_width + GAP) * columns - GAP, (PANEL_HEIGHT + line) * rows - (GAP if line == GAP else 0)), LIGHT)
    scale = np.array([panel_width / width, PANEL_HEIGHT / height])
    box_scale = np.tile(scale, 2)
    true_boxes = true_boxes * box_scale
    outline_truth(ImageDraw.Draw(shrunk), true_boxes)
    strip.paste(shrunk, (0, 0))
    pen = ImageDraw.Draw(strip)
    for number, (heat_map, box, caption, parts) in enumerate(zip(heat_maps, boxes, captions, segments), 1):
        # As `overlay` draws it, but for rounding, in a quarter of the time: sums of bytes, in Pillow.
        over = coloured(levels(heat_map).resize(shrunk.size, _resampling(heat_map.shape, shrunk.size)), colour_map, share)
        drawn = ImageChops.add_modulo(under, over)
        over = ImageDraw.Draw(drawn)
        mark_segments(over, parts[0] * box_scale, parts[1] * scale)
        outline_truth(over, true_boxes)
        if box is not None:
            outline(over, box * box_scale, drawn.size)
        row, column = divmod(number, columns)
        left, top = column * (panel_width + GAP), row * (PANEL_HEIGHT + line)
        strip.paste(drawn, (left, top))
        if caption is not None:
            _write(pen, (left + 2, top + PANEL_HEIGHT + 2), _fit(caption, LETTERS, panel_width), LETTERS)
    return strip


def _resampling(shape, size):
    """Of a heat map that is as fine as colours in a JPEG (half of the pixels a side), the nearest pixel is enough: a tenth of the time."""
    from PIL import Image
    fine = 2 * shape[1] >= size[0] and 2 * shape[0] >= size[1] and shape[0] <= size[1] and shape[1] <= size[0]
    return Image.Resampling.NEAREST if fine else Image.Resampling.BILINEAR


def captioned(picture, caption):
    """The picture with a line of text below it, whose letters are as large as a strip's where both are shown at one size.

    picture  uint8 [H, W, 3], RGB
    caption  a string
    returns  uint8 [H + line, W, 3]
    raises   ValueError for any other picture or caption
    """
    from PIL import Image, ImageDraw
    picture = rgb(picture)
    if not isinstance(caption, str):
        raise ValueError(f"caption must be a string; it is {shown(caption)}")
    height, width = picture.shape[:2]
    scale = max(0.6, min(height / PANEL_HEIGHT, width / PANEL_HEIGHT))
    below = Image.new("RGB", (width, round(LINE * scale)), LIGHT)
    letters = round(LETTERS * scale)
    _write(ImageDraw.Draw(below), (round(2 * scale), round(2 * scale)), _fit(caption, letters, width), letters)
    return np.concatenate([picture, np.asarray(below)])


def panel(picture):
    """The picture at the size of a panel: uint8 [H, W, 3] to [240, w, 3], w from 80 to 720."""
    from PIL import Image
    picture = rgb(picture)
    height, width = picture.shape[:2]
    # A panorama must not become a strip of a hundred thousand pixels, nor a tower a hair.
    panel_width = int(np.clip(round(width * PANEL_HEIGHT / height), PANEL_HEIGHT // 3, 3 * PANEL_HEIGHT))
    if (height, width) == (PANEL_HEIGHT, panel_width):
        return picture
    if PANEL_HEIGHT <= height <= 2 * PANEL_HEIGHT and panel_width <= width <= 2 * panel_width:
        return _nearly_halved(picture, (PANEL_HEIGHT, panel_width))
    return np.asarray(Image.fromarray(picture).resize((panel_width, PANEL_HEIGHT), Image.Resampling.HAMMING,
                                                      reducing_gap=1.01))


def _nearly_halved(picture, size):
    """The picture at no less than half of its size, each pixel of four: in a third of the time of a filter, and no worse to look at."""
    with tf.device("CPU:0"):
        resized = tf.raw_ops.ResizeBilinear(images=picture[np.newaxis], size=size, half_pixel_centers=True).numpy()[0]
    rounded = np.empty(resized.shape, np.uint8)
    return np.add(resized, np.float32(0.5), out=rounded, casting="unsafe")


@functools.lru_cache(maxsize=32)
def _font(letters):
    from PIL import ImageFont
    return ImageFont.load_default(letters)


class _Glyph(NamedTuple):
    """Grey image of a letter, or of a word (None of a blank), where it lies from the pen, and how far the pen goes on."""

    image: object
    offset: tuple
    advance: float


@functools.lru_cache(maxsize=1024)
def _glyph(letter, letters):
    from PIL import Image, ImageDraw
    font = _font(letters)
    left, top, right, bottom = map(round, font.getbbox(letter))
    if right <= left or bottom <= top:
        return _Glyph(None, (0, 0), font.getlength(letter))
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), letter, 255, font)
    return _Glyph(image, (left, top), font.getlength(letter))


@functools.lru_cache(maxsize=4096)
def _word(word, letters, start):
    """A word, of its letters: the font has no kerning, so each is drawn but once. `start` is the pen's place, less than 2."""
    from PIL import Image, ImageChops
    advance, placed = start, []
    for letter in word:
        glyph = _glyph(letter, letters)
        if glyph.image:
            placed.append((glyph.image, round(advance) + glyph.offset[0], glyph.offset[1]))
        advance += glyph.advance
    if not placed:
        return _Glyph(None, (0, 0), advance - start)
    left, top = (min(place[axis] for place in placed) for axis in (1, 2))
    size = (max(x + image.width for image, x, _ in placed) - left, max(y + image.height for image, _, y in placed) - top)
    whole = Image.new("L", size)
    for image, x, y in placed:  # where letters overlap, paper shows through neither
        box = (x - left, y - top, x - left + image.width, y - top + image.height)
        whole.paste(ImageChops.screen(whole.crop(box), image), box)
    return _Glyph(whole, (left, top), advance - start)


def _write(pen, place, text, letters):
    """As Pillow's own `text`, in a twentieth of the time: most words of captions come again."""
    x, y = place
    for number, word in enumerate(text.replace("\n", " ").split(" ")):
        if number:
            x += _glyph(" ", letters).advance
        start = x % 2  # Python rounds halves to even numbers
        word = (_word if letters == LETTERS else _word.__wrapped__)(word, letters, start)  # large ones would fill the memory
        if word.image:
            pen.bitmap((round(x - start) + word.offset[0], y + word.offset[1]), word.image, DARK)
        x += word.advance


def _fit(text, letters, width):
    """The text, cut with an ellipsis to at most `width` pixels."""
    ends = list(itertools.accumulate(_glyph(letter, letters).advance for letter in text))
    if not ends or ends[-1] <= width:
        return text
    return text[:bisect.bisect(ends, width - _glyph("…", letters).advance)].rstrip() + "…"
