"""Score maps as the WSOL protocol judges them (Choe et al., CVPR 2020). NumPy only.

A score map is a class map resized to 224 x 224 first and scaled to [0, 1] by
its own minimum and maximum then.
"""

from functools import cached_property

import numpy as np

from metrics.threshold_boxes import level_boxes
from ops.resize import resize_bicubic

SIZE = 224  # the protocol's side of maps, masks and true boxes


class ScoreMap:
    """A class map [h, w] as the protocol judges it, and its boxes: each is made once, however many metrics ask."""

    def __init__(self, class_map):
        self.class_map = class_map

    @classmethod
    def of(cls, class_map):
        """`class_map` itself where it is a ScoreMap already."""
        return class_map if isinstance(class_map, cls) else cls(class_map)

    @cached_property
    def scores(self):
        return score_map(self.class_map)

    @cached_property
    def levels(self):
        return level_boxes(self.scores)


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
