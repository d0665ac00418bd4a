"""Resizing maps and scaling them to [0, 1], in TensorFlow and in NumPy.

Both functions answer a tensor with a tensor and anything else with a NumPy
array. Sizes that change from picture to picture belong to NumPy: XLA compiles
again for each new one.
"""

import functools

import numpy as np

from .arguments import finite_maps, height_width, real_array, real_maps, shown
from .quiet_tensorflow import tf
from .tensors import maps_tensor

# What rounding can leave of a constant float32 map after interpolation: a map
# that varies by less, relative to its values, is constant.
ROUNDING = 8 * np.finfo(np.float32).eps
# Of a map's largest value: beyond these powers of two, float32 may not hold the map's range or its fractions.
EXPONENT = 100


def upsample(maps, size, grid=None):
    """Bilinear interpolation with half-pixel centres.

    Equal to `tf.image.resize(..., "bilinear")` without antialiasing, as two
    products with constant matrices, which XLA compiles to something far
    faster. A smaller size is possible: it samples.

    maps     [..., h, w], any real dtype; a tensor or a NumPy array
    size     (H, W), Python ints, or one for both
    grid     where the old samples lie on both axes of the new size, as a network in
             `nets` says it: (centre of the first, distance), in pixels; None: spread evenly
    returns  [..., H, W], float32; a tensor for a tensor, else a NumPy array
    raises   ValueError when h or w is unknown or zero, when the size is not
             positive, when the grid is none, or when a NumPy array is not finite or
             beyond float32
    """
    height, width = height_width(size)
    if tf.is_tensor(maps):
        maps = tf.cast(maps_tensor(maps, "maps"), tf.float32)
        rows = interpolation_matrix(maps.shape[-2], height, grid)
        columns = interpolation_matrix(maps.shape[-1], width, grid)
        return tf.tensordot(tf.einsum("...yx,Yy->...Yx", maps, rows), columns.T, 1)
    maps = finite_maps(maps, "maps")
    if grid is None and maps.shape[-2:] == (height, width):
        return maps.copy()
    if grid is not None or maps.shape[-1] != width:
        maps = _interpolated(maps.swapaxes(-2, -1), width, grid).swapaxes(-2, -1)
    return _interpolated(maps, height, grid) if grid is not None or maps.shape[-2] != height else np.ascontiguousarray(maps)


def _interpolated(maps, height, grid):
    """[..., height, w] of NumPy's maps [..., h, w].

    No product with a matrix: NumPy spreads it over threads, which are in use already. Whole rows, one after
    the other in memory, are taken three times faster than columns.
    """
    left, right, fraction = _spread_evenly(maps.shape[-2], height) if grid is None else _neighbours(maps.shape[-2], height, grid)
    maps = np.ascontiguousarray(maps)
    mixed = maps.take(left, axis=-2)
    mixed *= (1 - fraction)[:, None]
    after = maps.take(right, axis=-2)
    after *= fraction[:, None]
    mixed += after
    return mixed


SCALES = "min-max", "max"


def normalise(maps, scale="min-max"):
    """Scales each map to [0, 1]: by its own minimum and maximum, or by its maximum alone.

    Min-max scaling, (m - min m) / (max m - min m), lifts what a map has nothing to
    say of above 0 where its least value is negative. With "max", negative values
    become 0 and the others are divided by the maximum, as the publication's authors
    do. A constant map becomes all zeros, by "max" one without positive values; a
    tensor's map with a value that is not finite becomes all NaN.

    maps     [..., h, w], any real dtype; a tensor or a NumPy array
    scale    "min-max" or "max"
    returns  [..., h, w], float32; a tensor for a tensor, else a NumPy array
    raises   ValueError when h or w is zero, when a NumPy array is not finite, or for another scale
    """
    if not isinstance(scale, str) or scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}; it is {shown(scale)}")
    if scale == "max":
        return _by_maximum(maps)
    return _by_extremes(maps)


def _by_maximum(maps):
    if tf.is_tensor(maps):
        maps = maps_tensor(maps, "maps")
        # XLA's and NumPy's maximum differ on NaN: it must stay.
        maps = tf.where(maps < 0, tf.zeros_like(maps), maps)
        # A border of zeros makes the minimum 0, and changes nothing else.
        border = [[0, 0]] * (len(maps.shape) - 2) + [[0, 1], [0, 0]]
        return _by_extremes(tf.pad(maps, border))[..., :-1, :]
    maps = real_maps(maps, "maps")
    if not (maps.size and maps.min() >= 0):
        maps = np.maximum(maps, maps.dtype.type(0))  # NaN stays
    high = maps.max((-2, -1), keepdims=True)
    return _rescaled(maps, np.zeros_like(high), high)


def _by_extremes(maps):
    if tf.is_tensor(maps):
        maps = maps_tensor(maps, "maps")
        if maps.dtype == tf.float64:  # may have what float32 has not
            largest = tf.reduce_max(tf.abs(maps), axis=(-2, -1), keepdims=True)
            maps /= tf.where(largest > 0, largest, 1)
        maps = tf.cast(maps, tf.float32)
        return nan_unless_finite(maps, rescale(*within_range(maps, *extremes(maps))))
    maps = real_maps(maps, "maps")
    return _rescaled(maps, maps.min((-2, -1), keepdims=True), maps.max((-2, -1), keepdims=True))


def _rescaled(maps, low, high):
    """`rescale` for NumPy arrays of any real dtype, whose extremes are NaN where a map has one."""
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError("maps have values that are not finite")
    exponent = power_of_two(low, high)
    if (abs(exponent) > EXPONENT).any():
        maps, low, high = (np.ldexp(np.asarray(array, np.float64), -exponent) for array in (maps, low, high))
    return rescale(*(array.astype(np.float32, copy=False) for array in (maps, low, high)))


def extremes(maps):
    """Minimum and maximum over the last two axes, which are kept: [..., 1, 1]."""
    return (tf.reduce_min(maps, axis=(-2, -1), keepdims=True),
            tf.reduce_max(maps, axis=(-2, -1), keepdims=True))


def power_of_two(low, high):
    """e, with the larger of |low| and |high| from 2^(e - 1) to 2^e (0 for 0): dividing by 2^e rounds nothing. NumPy."""
    return np.frexp(np.maximum(np.abs(np.asarray(low, np.float64)), np.abs(np.asarray(high, np.float64))))[1]


def within_range(maps, low, high):
    """Float32 maps and their extremes times a power of two, so that neither range nor fractions leave float32."""
    largest = tf.maximum(tf.abs(low), tf.abs(high))
    factor = tf.where(largest > 2.0**EXPONENT, 2.0**-EXPONENT, tf.where(largest < 2.0**-EXPONENT, 2.0**EXPONENT, 1.0))
    return maps * factor, low * factor, high * factor


def rescale(maps, low, high):
    """(maps - low) / (high - low), and 0 where that range is nothing but rounding."""
    library = tf if tf.is_tensor(maps) else np
    spread = high - low
    constant = spread <= ROUNDING * library.maximum(library.abs(low), library.abs(high))
    # Both branches of `where` have a gradient: the second must not divide by 0.
    divisor = library.where(constant, library.ones_like(spread), spread)
    if library is tf:
        scaled = (maps - low) / divisor
    else:
        scaled = maps - low
        scaled /= divisor
        if not constant.any():
            return scaled
    return library.where(constant, library.zeros_like(maps), scaled)


def nan_unless_finite(maps, scaled):
    """`scaled`, all NaN where the map that it came from has values that are not finite.

    XLA's minimum and maximum on a CPU pass over NaN: a broken network would
    look like one that has found nothing.
    """
    finite = tf.reduce_all(tf.math.is_finite(maps), axis=(-2, -1), keepdims=True)
    return tf.where(finite, scaled, np.nan)


def interpolation_matrix(size, new_size, grid=None):
    """float32 [new_size, size]: the weights of the old samples in each new one."""
    left, right, fraction = _neighbours(size, new_size, grid)
    matrix = np.zeros((new_size, size), np.float32)
    new = np.arange(new_size)
    matrix[new, left] = 1 - fraction
    if size > 1:
        matrix[new, right] = fraction
    return matrix


def _neighbours(size, new_size, grid=None):
    """For each new sample the old ones on both sides, int [new_size], and the right one's share, float32."""
    source = _source_positions(size, new_size, grid)
    # The last old sample has no right neighbour: it is the end of the interval before it.
    left = np.minimum(source.astype(int), max(size - 2, 0))
    return left, np.minimum(left + 1, size - 1), (source - left).astype(np.float32)


_spread_evenly = functools.lru_cache(maxsize=256)(_neighbours)  # the same of every picture


def interval_ends(size, new_size):
    """Indices of the first and last new sample of every interval between old ones.

    At most 2 size of them. A bilinear map has its extremes at these rows and
    columns: within an interval it is linear along each axis.
    """
    interval = _source_positions(size, new_size).astype(int)
    last = np.flatnonzero(np.diff(interval))
    return np.union1d([0, new_size - 1], [last, last + 1]).astype(int)


def _source_positions(size, new_size, grid=None):
    """Where the new samples lie on the old axis, 0 to size - 1, by half-pixel centres or by the grid."""
    if size is None:
        raise ValueError("maps must have a known height and width")
    first, step = (0.5 * new_size / size, new_size / size) if grid is None else _first_and_step(grid)
    return np.clip((np.arange(new_size) + 0.5 - first) / step, 0, size - 1)


def _first_and_step(grid):
    pair = real_array(grid, "grid")
    if pair.shape != (2,) or not (np.isfinite(pair).all() and pair[1] > 0):
        raise ValueError(f"a grid is (first, distance), in pixels, the distance above 0; not {shown(grid)}")
    return pair.tolist()
