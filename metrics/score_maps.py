"""Score maps as the WSOL protocol judges them (Choe et al., CVPR 2020). NumPy only.

A score map is a class map resized to 224 x 224 first and scaled to [0, 1] by
its own minimum and maximum then.
"""

import numpy as np

from ops.arguments import real_array, real_boxes, real_map, shown, side
from ops.lazy import kept_property
from ops.resize import resize_bicubic
from .threshold_boxes import level_boxes

SIZE = 224  # the protocol's side of maps, masks and true boxes
LARGEST_PIXEL = 2**52  # beyond it float64 has no halves, nor int64 soon a number


class ScoreMap:
    """A class map [h, w] as the protocol judges it, and its boxes: each is made once, however many metrics ask."""

    def __init__(self, class_map):
        self.class_map = class_map

    @classmethod
    def of(cls, class_map):
        """`class_map` itself where it is a ScoreMap already."""
        return class_map if isinstance(class_map, cls) else cls(class_map)

    @kept_property
    def scores(self):
        return score_map(self.class_map)

    @kept_property
    def levels(self):
        return level_boxes(self.scores)


def score_map(class_map, size=SIZE):
    """The protocol's score map: bicubic resizing, then min-max scaling.

    class_map  [h, w], finite, any real dtype; one that is constant, or that float32
               cannot tell from a constant one, becomes zeros
    size       side of the square result
    returns    float32 [size, size], 0 to 1
    raises     ValueError when the map is not [h, w], is empty, or has values
               that are not finite, and for a size that is not positive
    """
    class_map, size = real_map(class_map, "class_map").astype(np.float64), side(size, "size")
    low, high = class_map.min(), class_map.max()  # NaN if there is one
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("class_map has values that are not finite: NaN or infinite")
    if low == high:  # before rounding can make a pattern of it
        return np.zeros((size, size), np.float32)
    # Float32 has no numbers like 1e-300. A factor of two to a power changes no bit of the rest.
    resized = resize_bicubic(np.ldexp(class_map, -np.frexp(max(abs(low), abs(high)))[1]), size)
    resized -= resized.min()
    largest = resized.max()
    return resized / largest if largest else resized


def scale_boxes(boxes, picture_size, size=SIZE):
    """True boxes in the pixels of a score map, as the protocol scales them.

    It multiplies the first and the last pixel of a box, the numbers that data
    sets publish, and truncates them to integers.

    boxes         [..., 4]: x0, y0, x1, y1 in pixels of the picture, half-open
    picture_size  (width, height), or one number for both
    size          side of the map
    returns       int [..., 4]: x0, y0, x1, y1 in pixels of the map, half-open
    raises        ValueError when a box is empty or not finite, when the picture has no
                  size, and for a size that is not positive
    """
    boxes, size = real_boxes(boxes, "boxes"), side(size, "size")
    sides = real_array(picture_size, "picture_size")
    if sides.shape not in ((), (2,)) or not ((sides > 0) & (sides < np.inf)).all():
        raise ValueError(f"picture_size must be a width and a height above 0; it is {shown(picture_size)}")
    if not (boxes[..., :2] < boxes[..., 2:]).all():  # NaN is not less, either
        raise ValueError(f"boxes: one of the true_boxes is empty or not finite: {shown(boxes.tolist())}")
    last = np.array([0, 0, 1, 1])
    # The order of multiplication and division decides the last bit, and so the integer.
    scaled = (boxes - last) * size / np.tile(np.broadcast_to(sides, 2), 2)
    if not (abs(scaled) < LARGEST_PIXEL).all():
        raise ValueError(f"boxes: one of the true_boxes is not finite, or too far away: {shown(boxes.tolist())}")
    return scaled.astype(int) + last
