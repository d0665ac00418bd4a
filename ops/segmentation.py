"""Every segment of a heat map, not only the largest. NumPy and SciPy only."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .arguments import real, real_map

# Pixels that touch at a corner belong together, as in OpenCV's contours.
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class Segment(NamedTuple):
    """A set of connected pixels above the threshold.

    box    (x0, y0, x1, y1), half-open, pixels of the heat map
    area   pixels
    peak   (x, y): the first pixel in reading order of those with its highest value
    value  there, as in the heat map
    """

    box: tuple
    area: int
    peak: tuple
    value: float


def segments(heat_map, threshold=0.2):
    """All segments of a heat map, largest first; of equally large ones the first in reading order.

    The box of the first is that of `boxes_from_heat_maps` (section 3.2 of the
    paper). A constant map has no segment of its own: its one segment is the
    whole map.

    heat_map   [H, W], finite, at least 0
    threshold  fraction of the maximum, in [0, 1)
    returns    a list of Segment, never empty
    raises     ValueError when the map or the threshold is not as it should be
    """
    threshold, heat_map = real(threshold, "threshold"), real_map(heat_map, "heat_map")
    if not (np.isfinite(heat_map).all() and (heat_map >= 0).all()):
        raise ValueError("heat_map must be finite and not negative")
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold is {threshold}; it must be at least 0 and less than 1")
    above = heat_map > threshold * heat_map.max()
    labels, count = ndimage.label(above if above.any() else np.ones_like(above), EIGHT_NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        inside = np.where(labels[rows, columns] == number, heat_map[rows, columns], -1)
        y, x = np.unravel_index(inside.argmax(), inside.shape)
        found.append(Segment((columns.start, rows.start, columns.stop, rows.stop), int(sizes[number - 1]),
                             (int(columns.start + x), int(rows.start + y)), float(inside[y, x])))
    return sorted(found, key=lambda segment: -segment.area)
