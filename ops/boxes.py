"""Boxes from heat maps, and how well two boxes agree. NumPy and SciPy only.

A box is x0, y0, x1, y1 in pixels, half-open: x1 and y1 are the first column
and row outside it.
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from .arguments import real, real_boxes, real_maps, shown

SEGMENTS = ("largest", "peak")
BLOCK = 64  # maps at a time, which bounds the memory


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
    if not heat_maps.size:
        return np.zeros((*heat_maps.shape[:-2], 4), np.int32)
    flat = heat_maps.reshape(-1, *heat_maps.shape[-2:])
    highest = flat.max(axis=(-2, -1), keepdims=True)
    if not (flat.min() >= 0 and highest.max() < np.inf):  # NaN is neither
        raise ValueError("heat_maps must be finite and not negative")
    boxes = []
    for first in range(0, len(flat), BLOCK):
        block = flat[first:first + BLOCK]
        peaks = block.reshape(len(block), -1).argmax(axis=1) if segment == "peak" else None
        boxes.append(_boxes_of_segments(block > threshold * highest[first:first + BLOCK], peaks))
    return np.concatenate(boxes).reshape(*heat_maps.shape[:-2], 4)


def _boxes_of_segments(masks, peaks=None):
    """int32 [n, 4], around one segment of each mask, bool [n, H, W]: the largest, or that of the pixel `peaks`, int [n], in
    reading order. A mask without segments gets the whole picture.

    Rows are taken as runs of true pixels, of which a heat map has hundreds: in half the time of
    `scipy.ndimage.label`, which looks at each of its pixels.
    """
    count, height, width = masks.shape
    boxes = np.tile(np.array([0, 0, width, height], np.int32), (count, 1))
    starts, ends = _runs(masks)
    if not len(starts):
        return boxes
    labels = _segments_of_runs(starts, ends, width + 1)
    rows, left = np.divmod(starts, width + 1)
    mask, rows = np.divmod(rows, height + 1)
    lengths = ends - starts
    right = left + lengths
    borders = np.searchsorted(mask, np.arange(count + 1))
    for number, (begin, end) in enumerate(zip(borders, borders[1:])):
        if begin == end:
            continue
        mine = labels[begin:end]
        if peaks is None:
            # Segments are numbered in reading order, so the mask's first one has its least number.
            chosen = mine[0] + np.bincount(mine - mine[0], lengths[begin:end]).argmax()
        else:
            y, x = divmod(peaks[number], width)
            chosen = labels[np.searchsorted(starts, (number * (height + 1) + y) * (width + 1) + x, "right") - 1]
        runs = begin + np.flatnonzero(mine == chosen)
        boxes[number] = left[runs].min(), rows[runs[0]], right[runs].max(), rows[runs[-1]] + 1
    return boxes


def _runs(masks):
    """Where the runs of true pixels in the rows of masks, bool [n, H, W], start, and the pixels behind their ends: int [m] each, numbers
    of pixels of [n, H + 1, W + 1] in reading order. Between two rows or masks there is always a false one."""
    count, height, width = masks.shape
    padded = np.zeros(count * (height + 1) * (width + 1) + 1, bool)
    padded[1:].reshape(count, height + 1, width + 1)[:, :height, :width] = masks
    changes = np.flatnonzero(padded[1:] != padded[:-1])
    return changes[::2], changes[1::2]


def _segments_of_runs(starts, ends, row):
    """int [m]: the number of each run's segment, in reading order. Runs that touch at a corner belong together, as in
    OpenCV's contours. `row` is the length of a row."""
    # Those of the next row that a run touches follow each other.
    first, behind = np.searchsorted(ends, starts + row, "left"), np.searchsorted(starts, ends + row, "right")
    touched = np.concatenate([[0], np.cumsum(behind - first)])
    columns = np.arange(touched[-1]) + np.repeat(first - touched[:-1], behind - first)
    graph = csr_array((np.ones(len(columns)), columns, touched), shape=(len(starts), len(starts)))
    return connected_components(graph, directed=False)[1]


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
