"""From heat maps of the whole picture to boxes in the picture's own pixels."""

import numpy as np

import ops
from cam_data.decoding import LargeAlone

# Distances in a picture of 24 megapixels take a gigabyte.
_large_alone = LargeAlone()


def paper_boxes(heat_maps, size, threshold, segment="largest"):
    """Boxes by section 3.2 of the publication: the largest segment above the threshold.

    heat_maps  [k, h, w] in [0, 1]
    size       (height, width) of the upright picture
    segment    instead of the largest: "peak", the one that holds the map's maximum
    returns    int32 [k, 4]: x0, y0, x1, y1, half-open, in pixels of the picture
    """
    return to_picture(ops.boxes_from_heat_maps(heat_maps, threshold, segment), heat_maps.shape[-2:], *size)


def authors_boxes(class_maps, size):
    """Boxes by the program that the authors released; it has thresholds of its own.

    class_maps  [k, h, w], finite, as the network has them: it divides by the maximum alone
    size        (height, width) of the upright picture
    returns     int32 [k, 4], as `paper_boxes`; the whole picture where it finds nothing
    """
    height, width = map(int, size)
    with _large_alone(height * width):
        found = [ops.author_boxes(ops.upsample(class_map, (height, width))) for class_map in class_maps]
    return np.array([boxes[0] if len(boxes) else (0, 0, width, height) for boxes in found], np.int32)


# Each draws boxes of a picture's heat maps [k, H, W], class maps [k, h, w], size and a threshold.
RULES = {"paper": lambda heat_maps, class_maps, size, threshold: paper_boxes(heat_maps, size, threshold),
         "peak": lambda heat_maps, class_maps, size, threshold: paper_boxes(heat_maps, size, threshold, "peak"),
         "authors": lambda heat_maps, class_maps, size, threshold: authors_boxes(class_maps, size)}


def to_picture(boxes, map_size, height, width):
    """Boxes [..., 4] in a map of the whole picture, as pixels of the picture, half-open, int32.

    The whole picture was resized, so each axis has one factor: map_size is
    (h, w). Rounded to the nearest pixel edge, and never empty.
    """
    h, w = map_size
    scaled = np.rint(np.asarray(boxes) * np.array([width / w, height / h] * 2)).astype(np.int32)
    scaled[..., :2] = np.minimum(scaled[..., :2], [width - 1, height - 1])
    scaled[..., 2:] = np.maximum(scaled[..., 2:], scaled[..., :2] + 1)
    return scaled
