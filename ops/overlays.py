"""A heat map laid over its picture, and a box around what it shows."""

import functools

import numpy as np

from .arguments import LARGEST_SIDE, listed, real, real_array, real_boxes, real_map, shown
from .heatmap import ROUNDING, upsample

WHOLE = 256  # shares of a mixture are counted in 256ths
LIGHT, DARK, TRUE = (255, 255, 255), (20, 20, 20), (0, 230, 64)


def overlay(picture, heat_map, opacity=0.5, colour_map="jet"):
    """The picture with the heat map over it in colour.

    picture     uint8 [H, W, 3]
    heat_map    [h, w] in [0, 1]; upsampled to the picture when it is smaller
    opacity     of the heat map, in [0, 1]
    colour_map  a name that matplotlib knows
    returns     uint8 [H, W, 3]
    raises      ValueError for another picture, a heat map or opacity outside
                [0, 1], or an unknown colour map
    """
    picture, heat_map, opacity = rgb(picture), unit_map(heat_map, "heat_map"), share_of_one(opacity, "opacity")
    if heat_map.shape != picture.shape[:2]:
        heat_map = upsample(heat_map, picture.shape[:2])
    share = round(WHOLE * opacity)
    # In 256ths of a level, for which 16 bits are enough; 128 rounds.
    mixed = np.multiply(np.asarray(coloured(levels(heat_map), colour_map)), share, dtype=np.uint16)
    mixed += np.multiply(picture, WHOLE - share, dtype=np.uint16)
    mixed += 128
    mixed >>= 8
    return mixed.astype(np.uint8)


def share_of_one(value, name):
    """The value as a float, which must be 0 to 1."""
    value = real(value, name)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it must be 0 to 1")
    return value


def levels(heat_map):
    """A heat map as an image of Pillow: float [h, w] in [0, 1] to 256 levels."""
    from PIL import Image
    values = heat_map * np.float32(255)
    values += np.float32(0.5)
    return Image.frombuffer("L", values.shape[::-1], values.astype(np.uint8, order="C"), "raw", "L", 0, 1)  # no copy of them


def coloured(levels, colour_map="jet", share=WHOLE):
    """The colours of levels, by a colour map that matplotlib knows, or so many 256ths of them, rounded: Pillow needs a fifth of
    NumPy's time to look them up."""
    levels.putpalette(palette(colour_map, share))
    return levels.convert("RGB")


def faded(picture, share):
    """So many 256ths of a picture, rounded down: with the others of `coloured` it makes 255 at most."""
    return (np.multiply(picture, share, dtype=np.uint16) >> 8).astype(np.uint8)


def rgb(picture):
    """The picture as an array, which must be uint8 [H, W, 3], not empty."""
    picture = real_array(picture, "picture")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"picture must be uint8 [H, W, 3]; it is {picture.dtype} {picture.shape}")
    return picture


def unit_map(heat_map, name):
    """The heat map as an array [h, w], which must be in [0, 1] but for rounding."""
    heat_map = real_map(heat_map, name)
    if not (heat_map.min() >= -ROUNDING and heat_map.max() <= 1 + ROUNDING):  # fails for NaN, too
        raise ValueError(f"{name} must be [h, w] in [0, 1]; it has other values")
    return heat_map


def draw_box(picture, box):
    """The picture with a white frame on a dark one, inside the box; dashed, where the box is the whole picture.

    picture  uint8 [H, W, 3]
    box      x0, y0, x1, y1 in pixels of the picture, half-open; may be fractions
    returns  uint8 [H, W, 3]
    raises   ValueError for any other picture or box
    """
    from PIL import Image, ImageDraw
    drawn = Image.fromarray(rgb(picture))
    box = real_boxes(box, "box")
    if box.shape != (4,) or not np.isfinite(box).all() or (box[:2] > box[2:]).any() or abs(box).max() > LARGEST_SIDE:
        raise ValueError(f"box must be finite x0, y0, x1, y1, x0 <= x1 and y0 <= y1; it is {shown(box.tolist())}")
    outline(ImageDraw.Draw(drawn), box, drawn.size, stroke(drawn.size))
    return np.asarray(drawn)


def draw_segments(picture, segments):
    """The picture with a thin frame around each segment, and a dot at its peak.

    picture   uint8 [H, W, 3]
    segments  Segments (`ops.segments`), or anything with `box`, as `draw_box` takes, and `peak`, x and y
    returns   uint8 [H, W, 3]
    raises    ValueError for any other picture or segments
    """
    from PIL import Image, ImageDraw
    drawn = Image.fromarray(rgb(picture))
    mark_segments(ImageDraw.Draw(drawn), *boxes_and_peaks(segments, "segments"), stroke(drawn.size))
    return np.asarray(drawn)


def boxes_and_peaks(segments, name):
    """The boxes, float [m, 4], and peaks, [m, 2], of Segments."""
    segments = listed(segments, name)
    if not all(hasattr(one, "box") and hasattr(one, "peak") for one in segments):
        raise ValueError(f"{name} must be Segments, with box and peak; they are {shown(segments)}")
    boxes, peaks = (real_array(list(values), name).astype(float) if segments else np.zeros((0, length))
                    for values, length in (((one.box for one in segments), 4), ((one.peak for one in segments), 2)))
    if boxes.shape != (len(segments), 4) or peaks.shape != (len(segments), 2):
        raise ValueError(f"{name}: a box is x0, y0, x1, y1, and a peak x, y; they are {shown(segments)}")
    # NaN is not less, either.
    if not (abs(boxes) < LARGEST_SIDE).all() or not (abs(peaks) < LARGEST_SIDE).all() or (boxes[:, :2] > boxes[:, 2:]).any():
        raise ValueError(f"{name}: boxes and peaks must be finite, x0 <= x1 and y0 <= y1; they are {shown(segments)}")
    return boxes, peaks


def stroke(size):
    """How thick lines are on a picture of (width, height): 1 on a small one, as on a panel of a strip."""
    return max(1, round(min(size) / 320))


def outline(pen, box, size, thick=1):
    """Draw a box's frame with a pen of Pillow, on a picture of (width, height)."""
    x0, y0, x1, y1 = map(float, box)
    corners = [x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)]
    pen.rectangle(corners, outline=DARK, width=4 * thick)
    if x0 < 0.5 and y0 < 0.5 and x1 > size[0] - 0.5 and y1 > size[1] - 0.5:
        # A frame would look like the picture's own.
        _dashes(pen, corners, thick)
    else:
        pen.rectangle(corners, outline=LIGHT, width=2 * thick)


def outline_truth(pen, boxes, thick=1):
    """Draw the frames of true boxes."""
    for x0, y0, x1, y1 in boxes.tolist():
        corners = [x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)]
        pen.rectangle(corners, outline=DARK, width=4 * thick)
        pen.rectangle(corners, outline=TRUE, width=3 * thick)


def _dashes(pen, corners, thick):
    x0, y0, x1, y1 = map(round, corners)
    dash, width = 10 * thick, 3 * thick
    for x in range(x0, x1 + 1, 2 * dash):
        for top in (y0, y1 - width + 1):
            pen.rectangle([x, top, min(x + dash, x1), top + width - 1], fill=LIGHT)
    for y in range(y0, y1 + 1, 2 * dash):
        for left in (x0, x1 - width + 1):
            pen.rectangle([left, y, left + width - 1, min(y + dash, y1)], fill=LIGHT)


def mark_segments(pen, boxes, peaks, thick=1):
    """Draw thin frames around segments' boxes, and dots at their peaks."""
    for x0, y0, x1, y1 in boxes.tolist():
        corners = [x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)]
        pen.rectangle(corners, outline=DARK, width=2 * thick)
        pen.rectangle(corners, outline=LIGHT, width=thick)
    for x, y in peaks.tolist():
        pen.ellipse([x - 4 * thick, y - 4 * thick, x + 4 * thick, y + 4 * thick], fill=LIGHT, outline=DARK, width=thick)


def palette(name, share=WHOLE):
    """768 bytes: the red, green and blue of each level, or so many 256ths of them."""
    import matplotlib  # only pictures need it

    if not isinstance(name, str) or name not in matplotlib.colormaps:
        raise ValueError(f"colour_map: matplotlib knows no colour map {shown(name)}")
    return _table(name, share)


@functools.lru_cache(maxsize=8)
def _table(name, share):
    import matplotlib
    colours = np.rint(255 * matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]).astype(np.uint16)
    return ((colours * share + WHOLE // 2) >> 8).astype(np.uint8).tobytes()
