"""Score maps as the WSOL protocol judges them (Choe et al., CVPR 2020). NumPy only.

A score map is a class map resized to 224 x 224 first and scaled to [0, 1] by
its own minimum and maximum then.
"""

import numpy as np

SIZE = 224  # the protocol's side of maps, masks and true boxes


def score_map(class_map, size=SIZE):
    """The protocol's score map: bicubic resizing, then min-max scaling.

    class_map  [h, w], finite, any real dtype; one that is constant becomes zeros
    size       side of the square result
    returns    float32 [size, size], 0 to 1
    raises     ValueError when the map is not [h, w], is empty, or has values
               that are not finite
    """
    class_map = np.asarray(class_map)
    if class_map.ndim != 2 or not class_map.size:
        raise ValueError(f"a class map must be [h, w]; its shape is {class_map.shape}")
    if not np.isfinite(class_map).all():
        raise ValueError("the class map has values that are not finite: NaN or infinite")
    if class_map.min() == class_map.max():  # before rounding can make a pattern of it
        return np.zeros((size, size), np.float32)
    resized = resize_bicubic(class_map, (size, size))
    resized -= resized.min()
    return resized / resized.max()


def resize_bicubic(maps, size, a=-0.75):
    """Bicubic interpolation as OpenCV's `INTER_CUBIC`.

    The kernel is Keys' (1981), pixel centres are half-integers, the border is
    replicated, and there is no antialiasing. OpenCV rounds to float32 at every
    step, we once at the end: the difference is below 1e-5 of the largest value,
    and one pixel in 100,000 gets another 8-bit level by it.

    maps     [..., h, w], finite, any real dtype
    size     (H, W)
    a        the kernel's slope at distance 1: -0.75 is OpenCV's, -0.5 MATLAB's
    returns  float32 [..., H, W]
    """
    maps = np.asarray(maps, np.float64)
    rows = _interpolate(maps.swapaxes(-2, -1), size[0], a).swapaxes(-2, -1)
    return _interpolate(rows, size[1], a).astype(np.float32)


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


def resize_nearest(masks, size=(SIZE, SIZE)):
    """The nearest old pixel as OpenCV's `INTER_NEAREST` has it, floor(i / (H / h)).

    masks    [..., h, w]
    size     (H, W)
    returns  [..., H, W], the dtype of `masks`
    """
    masks = np.asarray(masks)
    # OpenCV multiplies by the inverse of the factor, and its rounding decides where they meet.
    rows, columns = (np.minimum((np.arange(new) * (1 / (new / old))).astype(int), old - 1)
                     for old, new in zip(masks.shape[-2:], size))
    return masks[..., rows[:, None], columns]


def scale_boxes(boxes, picture_size, size=SIZE):
    """True boxes in the pixels of a score map, as the protocol scales them.

    It multiplies the first and the last pixel of a box, the numbers that data
    sets publish, and truncates them to integers.

    boxes         [..., 4]: x0, y0, x1, y1 in pixels of the picture, half-open
    picture_size  (width, height)
    returns       int [..., 4]: x0, y0, x1, y1 in pixels of the map, half-open
    raises        ValueError when a box is empty
    """
    boxes = np.asarray(boxes, np.float64)
    if (boxes[..., :2] >= boxes[..., 2:]).any():
        raise ValueError(f"a true box is empty: {boxes.tolist()}")
    last = np.array([0, 0, 1, 1])
    # The order of multiplication and division decides the last bit, and so the integer.
    return ((boxes - last) * size / np.tile(picture_size, 2)).astype(int) + last
