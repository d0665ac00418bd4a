"""Boxes from heat maps, and how well two boxes agree. NumPy only.

A box is x0, y0, x1, y1 in pixels, half-open: x1 and y1 are the first column
and row outside it.
"""

import numpy as np
from scipy import ndimage

from ops.arguments import real, real_boxes, real_maps, shown

# Pixels that touch at a corner belong together, as in OpenCV's contours.
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
SEGMENTS = ("largest", "peak")


def boxes_from_heat_maps(heat_maps, threshold=0.2, segment="largest"):
    """The box around a segment of each heat map: the largest, as in section 3.2, or the one with the peak.

    A segment is a set of connected pixels (8 neighbours) whose value is above
    `threshold` times the maximum of its map. Of equally large segments, the
    first in reading order counts. The map's maximum can lie outside the largest
    one; "peak" is the segment that holds it (of equal maxima, the first in reading
    order). A constant map has no segment of its own and gets the whole picture.

    heat_maps  [..., H, W], finite, at least 0: one box per map
    threshold  fraction of the maximum, in [0, 1); the paper's is 0.2
    segment    "largest" or "peak"
    returns    int32 [..., 4]: x0, y0, x1, y1, half-open, in pixels of the heat map
    raises     ValueError when the threshold is no number in [0, 1), when a heat map
               is empty, negative or not finite, or for another segment
    """
    threshold, heat_maps = real(threshold, "threshold"), real_maps(heat_maps, "heat_maps", "H, W")
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold is {threshold}; it must be at least 0 and less than 1")
    if not isinstance(segment, str) or segment not in SEGMENTS:
        raise ValueError(f"segment must be {' or '.join(SEGMENTS)}; it is {shown(segment)}")
    if heat_maps.size and not (heat_maps.min() >= 0 and heat_maps.max() < np.inf):  # NaN is neither
        raise ValueError("heat_maps must be finite and not negative")
    flat = heat_maps.reshape(-1, *heat_maps.shape[-2:])
    boxes = [_box_of_segment(heat_map > threshold * heat_map.max(),
                             np.unravel_index(heat_map.argmax(), heat_map.shape) if segment == "peak" else None)
             for heat_map in flat]
    return np.array(boxes, np.int32).reshape(*heat_maps.shape[:-2], 4)


def _box_of_segment(mask, within=None):
    """Around the segment that holds the pixel `within`, (y, x); None: the largest."""
    if not mask.any():
        return 0, 0, mask.shape[1], mask.shape[0]
    # Labelling is the slow part, and the box around all segments is often small.
    x0, y0, x1, y1 = _extent(mask)
    labels, segments = ndimage.label(mask[y0:y1, x0:x1], EIGHT_NEIGHBOURS)
    if segments == 1:
        return x0, y0, x1, y1
    number = 1 + np.bincount(labels.ravel())[1:].argmax() if within is None else labels[within[0] - y0, within[1] - x0]
    left, top, right, bottom = _extent(labels == number)
    return x0 + left, y0 + top, x0 + right, y0 + bottom


def _extent(mask):
    """The smallest box that holds every true pixel of a mask that has one."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def iou(a, b):
    """Intersection over union of boxes, |a and b| / |a or b|.

    ILSVRC's boxes hold their last pixel. Add 1 to their x1 and y1, and this is
    the IoU of its development kit.

    a, b     [..., 4]: x0, y0, x1, y1, half-open, pixels or fractions, shapes
             that broadcast against each other
    returns  float64 [...], 0 to 1; 0 with a box of no area
    raises   ValueError when the last axis is not 4, when the shapes do not go
             together, or when boxes are not finite
    """
    a, b = real_boxes(a, "a"), real_boxes(b, "b")
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            corner = np.maximum(a[..., :2], b[..., :2])
        except ValueError:
            raise ValueError(f"the shapes of a and b do not go together: {a.shape} and {b.shape}") from None
        intersection = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - corner, 0, None).prod(-1)
        union = _area(a) + _area(b) - intersection
    # What is not finite in a box is not finite in its area, which has a quarter of the numbers.
    if not np.isfinite(union).all():
        raise ValueError("a and b must be boxes whose coordinates and areas are finite")
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def _area(boxes):
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
