"""A heat map laid over its picture, and a box around what it shows."""

import functools

import numpy as np

from ops.arguments import LARGEST_SIDE, real, real_array, real_boxes, real_map, shown
from ops.heatmap import ROUNDING, upsample

LIGHT, DARK = (255, 255, 255), (20, 20, 20)


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
    share = round(256 * opacity)
    # In 256ths of a level, for which 16 bits are enough; 128 rounds.
    mixed = np.multiply(np.asarray(coloured(levels(heat_map), colour_map)), share, dtype=np.uint16)
    mixed += np.multiply(picture, 256 - share, dtype=np.uint16)
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
    return Image.fromarray((heat_map * np.float32(255) + np.float32(0.5)).astype(np.uint8))


def coloured(levels, colour_map="jet"):
    """The colours of levels, by a colour map that matplotlib knows: Pillow needs a fifth of NumPy's time to look them up."""
    levels.putpalette(palette(colour_map))
    return levels.convert("RGB")


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
    """The picture with a white frame on a dark one, inside the box.

    picture  uint8 [H, W, 3]
    box      x0, y0, x1, y1 in pixels of the picture, half-open; may be fractions
    returns  uint8 [H, W, 3]
    """
    from PIL import Image, ImageDraw
    drawn = Image.fromarray(rgb(picture))
    box = real_boxes(box, "box")
    if box.shape != (4,) or not np.isfinite(box).all() or (box[:2] > box[2:]).any() or abs(box).max() > LARGEST_SIDE:
        raise ValueError(f"box must be finite x0, y0, x1, y1, x0 <= x1 and y0 <= y1; it is {shown(box.tolist())}")
    outline(ImageDraw.Draw(drawn), box)
    return np.asarray(drawn)


def outline(pen, box):
    """Draw the frame with a pen of Pillow."""
    x0, y0, x1, y1 = map(float, box)
    corners = [x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)]
    pen.rectangle(corners, outline=DARK, width=4)
    pen.rectangle(corners, outline=LIGHT, width=2)


def palette(name):
    """768 bytes: the red, green and blue of each level."""
    import matplotlib  # only pictures need it

    if not isinstance(name, str) or name not in matplotlib.colormaps:
        raise ValueError(f"colour_map: matplotlib knows no colour map {shown(name)}")
    return _table(name)


@functools.lru_cache(maxsize=8)
def _table(name):
    import matplotlib
    return np.rint(255 * matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8).tobytes()
