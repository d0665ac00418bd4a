"""Resizing as OpenCV and MATLAB do it. NumPy only."""

import numpy as np

from .arguments import height_width, real, real_maps


def resize_bicubic(maps, size, a=-0.75):
    """Bicubic interpolation as OpenCV's `INTER_CUBIC`.

    The kernel is Keys' (1981), pixel centres are half-integers, the border is
    replicated, and there is no antialiasing. OpenCV rounds to float32 at every
    step, we once at the end: the difference is below 1e-5 of the largest value,
    and one pixel in 100,000 gets another 8-bit level by it.

    maps     [..., h, w], finite, any real dtype
    size     (H, W), or one int for both
    a        the kernel's slope at distance 1: -0.75 is OpenCV's, -0.5 MATLAB's
    returns  float32 [..., H, W]
    raises   ValueError for maps that are no such, not finite or beyond float32, for
             a size that is not positive, and for an a that is no number
    """
    height, width = height_width(size)
    maps, a = real_maps(maps, "maps").astype(np.float64, copy=False), real(a, "a")
    if not np.isfinite(maps).all():
        raise ValueError("maps have values that are not finite")
    with np.errstate(over="ignore", invalid="ignore"):
        rows = _interpolate(maps.swapaxes(-2, -1), height, a).swapaxes(-2, -1)
        resized = _interpolate(rows, width, a).astype(np.float32)
    if not np.isfinite(resized).all():
        raise ValueError("maps have values that are too large for float32")
    return resized


def _interpolate(values, new_size, a):
    """Cubic interpolation along the last axis.

    Four products, one for each neighbour, rather than one with a matrix: NumPy
    spreads a matrix product over threads, which are in use already.
    """
    size = values.shape[-1]
    position = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    first = np.floor(position).astype(int) - 1
    return sum(values[..., np.clip(first + tap, 0, size - 1)] * _keys(position - (first + tap), a)
               for tap in range(4))


def _keys(distance, a):
    """Keys' cubic convolution kernel, at distances of up to 2."""
    d = np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def resize_nearest(masks, size):
    """The nearest old pixel as OpenCV's `INTER_NEAREST` has it, floor(i / (H / h)).

    masks    [..., h, w], numbers or bool
    size     (H, W), or one int for both
    returns  [..., H, W], the dtype of `masks`
    raises   ValueError for masks that are no such, and for a size that is not positive
    """
    masks, size = real_maps(masks, "masks"), height_width(size)
    # OpenCV multiplies by the inverse of the factor, and its rounding decides where they meet.
    rows, columns = (np.minimum((np.arange(new) * (1 / (new / old))).astype(int), old - 1)
                     for old, new in zip(masks.shape[-2:], size))
    return masks[..., rows[:, None], columns]
