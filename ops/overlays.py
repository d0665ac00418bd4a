"""A heat map laid over its picture."""

import numpy as np

from ops.arguments import real, real_array, real_map, shown
from ops.heatmap import ROUNDING, upsample


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
    picture, heat_map, opacity = rgb(picture), unit_map(heat_map, "heat_map"), real(opacity, "opacity")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity is {opacity}; it must be 0 to 1")
    if heat_map.shape != picture.shape[:2]:
        heat_map = upsample(heat_map, picture.shape[:2])
    colours = _colours(colour_map)[np.rint(heat_map * 255).astype(np.uint8)]
    return np.rint((1 - opacity) * picture + opacity * colours).astype(np.uint8)


def rgb(picture):
    """The picture as an array, which must be uint8 [H, W, 3], not empty."""
    picture = real_array(picture, "picture")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"picture must be uint8 [H, W, 3]; it is {picture.dtype} {picture.shape}")
    return picture


def unit_map(heat_map, name):
    """The heat map as an array [h, w], which must be in [0, 1] but for rounding."""
    heat_map = real_map(heat_map, name)
    if not (abs(heat_map - 0.5) <= 0.5 + ROUNDING).all():
        raise ValueError(f"{name} must be [h, w] in [0, 1]; it has other values")
    return heat_map


def _colours(name):
    """float32 [256, 3], 0 to 255: the colours from 0 to 1."""
    import matplotlib  # slow to import, and only pictures need it

    if not isinstance(name, str) or name not in matplotlib.colormaps:
        raise ValueError(f"colour_map: matplotlib knows no colour map {shown(name)}")
    return 255 * matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3].astype(np.float32)
