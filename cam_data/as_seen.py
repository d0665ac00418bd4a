"""From a picture's numbers to what a person sees of them: on white, by their own range, in red, green and blue. And what is said of it."""

import threading

import numpy as np

from cam_base.terminal import warn
from . import display_range, tiff, tiff_pixels

# Modes of Pillow: greys of more than 8 bits, and what has an alpha channel.
DEEP = ("I;16", "I;16B", "I;16L", "I", "F")
TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")
ON_WHITE = "what is transparent is shown on white"
MOST_SAID = 20  # files of which something is said, in a process
_saying, _said = threading.Lock(), set()


def pixels_of(image, name="an image of Pillow"):
    """uint8 [H, W, 3] of an image of Pillow as a person sees it; its EXIF is not asked."""
    if image.mode in DEEP:
        # Pillow turns white and black of 8 bits where a TIFF's 0 is white, of others not.
        white_is_zero = getattr(image, "tag_v2", {}).get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO
        return of_numbers(np.asarray(image)[..., None], name, white_is_zero=white_is_zero)
    if image.mode == "RGBA" and image.format == "TIFF":
        bands = np.asarray(image)
        if not _is_transparency(bands[..., 3], bands[..., :3], name):
            return bands[..., :3]
    if image.mode in TRANSPARENT or "transparency" in image.info:
        return on_white(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def of_page(page, name):
    """The same of a TIFF's page (`Page.as_numbers`)."""
    values, alpha = tiff_pixels.numbers(page), page.has_alpha
    if alpha and values.shape[2] == 4 and not page.premultiplied and not _is_transparency(values[..., 3], values[..., :3], name):
        alpha, values = False, values[..., :3]
    if not alpha:  # bands that no one sees
        values = values[..., :3 if values.shape[2] >= 3 else 1]
    return of_numbers(values, name, page.photometric == tiff.WHITE_IS_ZERO, page.premultiplied, page.no_data)


def of_numbers(values, name, white_is_zero=False, premultiplied=False, no_data=None):
    """uint8 [H, W, 3] of numbers [H, W, 1 to 4]: greys, greys and alpha, RGB, RGBA."""
    channels = values.shape[2]
    alpha = values[..., -1] if channels in (2, 4) else None
    if alpha is not None:
        values = values[..., :-1]
    picture, shown, outside = display_range.shown(values, alpha, white_is_zero, premultiplied, no_data)
    if outside:
        say_of(name, f"shown from {shown.low:g} to {shown.high:g}; {outside:,} of its {values.size:,} numbers lie outside, or are none")
    elif shown != display_range.full_range(values.dtype):
        _say_once("what has more than 8 bits is shown from its least to its largest value")
    if alpha is not None and alpha.min() < display_range.full_range(alpha.dtype).high:
        _say_once(ON_WHITE)
    return picture


def _is_transparency(band, colours, name):
    """Whether a TIFF's fourth band, [H, W], is what it is said to be. GDAL says so of any fourth band, of near-infrared as well.

    Transparency is 0 or full in most places, or smoother than the colours, [H, W, 3].
    """
    full = display_range.full_range(band.dtype).high
    if np.mean((band == 0) | (band >= full)) >= 0.5 or min(band.shape) < 3:
        return True
    if _roughness(band) < 0.5 * _roughness(colours[..., 1]):
        return True
    say_of(name, "bands 1 to 3 of 4: the fourth, said to be transparency, is as rough as they are, so it is taken for something else")
    return False


def _roughness(band):
    """How far pixels are from the mean of the two beside them, on average."""
    rows = band[::max(1, len(band) // 1000)].astype(np.float64)
    return np.abs(2 * rows[:, 1:-1] - rows[:, :-2] - rows[:, 2:]).mean()


def on_white(image):
    """uint8 [H, W, 3] of an RGBA image of Pillow, as it is seen on white paper."""
    from PIL import Image
    if image.getextrema()[3][0] < 255:
        _say_once(ON_WHITE)
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    white.alpha_composite(image)
    return np.asarray(white.convert("RGB"))


def _say_once(text):
    """On standard error, once in a process."""
    _say(text, f"pictures: {text}")


def say_of(name, text):
    """Of a picture, once in a process, and of the first few only: a set may have thousands."""
    with _saying:
        files = sum(isinstance(key, tuple) for key in _said)
    if files < MOST_SAID:
        _say((name, text), f"{name}: {text}" + "; of further pictures nothing is said" * (files == MOST_SAID - 1))


def _say(key, text):
    with _saying:
        if key not in _said:
            _said.add(key)
            warn(text)
