"""The box generator that the authors released with the paper. NumPy and SciPy only.

Their evaluation on ILSVRC draws its boxes with it rather than with the single
threshold of section 3.2. Rectangles are x, y, width, height inside, as theirs.
"""

import numpy as np
from scipy import ndimage

from .arguments import real_array, real_map, shown
from .segmentation import EIGHT_NEIGHBOURS

EVALUATION_THRESHOLDS = 20, 100, 110  # of the paper's ILSVRC evaluation
PROGRAM_THRESHOLDS = 30, 90, 150      # what the program itself falls back to
MARGIN = 5


def author_boxes(heat_map, thresholds=EVALUATION_THRESHOLDS, cleared_border=False):
    """Boxes of a heat map as the authors' program draws them, largest first.

    The map becomes 8-bit grey, its maximum 255. At each threshold, thin
    bridges are cut off from what is above it, and every outer contour and
    every hole that is left gives a rectangle. Of rectangles that overlap by
    more than half of the larger one, the smaller is dropped, except right
    behind another one that was dropped: the program passes over that one.

    The program read the map from a JPEG file; we do without its artefacts. It
    sorts rectangles of equal area as the C++ library happens to; we keep them
    in the order of their thresholds and contours.

    heat_map        [H, W], finite; values below 0 count as 0. At the size of the picture
    thresholds      [n], 8-bit levels, 0 to 254
    cleared_border  whether contours are those of OpenCV 2.4, which the program as it is
                    shipped is linked with: it clears the outermost pixels before it looks
                    for contours. False: those of later OpenCV, which does not
    returns         int [n, 4]: x0, y0, x1, y1, half-open, in pixels; n = 0 when
                    nothing is above the lowest threshold. The first is the box.
                    Near the right and the lower border boxes are cut short, up to
                    having no area, as the program has it.
    raises          ValueError when the map is not [H, W] and finite, or a threshold
                    is no 8-bit level
    """
    heat_map, levels = real_map(heat_map, "heat_map"), real_array(thresholds, "thresholds")
    if not np.isfinite(heat_map).all():
        raise ValueError("heat_map has values that are not finite")
    if levels.ndim != 1 or not ((levels >= 0) & (levels < 255)).all():
        raise ValueError(f"thresholds must be a list of 8-bit levels, 0 to 254; they are {shown(thresholds)}")
    if heat_map.max() <= 0:
        return np.zeros((0, 4), int)
    grey = _grey(heat_map.astype(np.float64, copy=False))
    masks = [_without_bridges(grey > level) for level in levels]
    if cleared_border:
        masks = map(_with_cleared_border, masks)
    rectangles = [_limited(rectangle, heat_map.shape) for mask in masks for rectangle in _contour_rectangles(mask)]
    rectangles.sort(key=lambda r: -r[2] * r[3])
    x, y, width, height = _merged(rectangles).T
    # The program can give a negative width or height; its users swap the ends.
    return np.stack([np.minimum(x, x + width), np.minimum(y, y + height),
                     np.maximum(x, x + width), np.maximum(y, y + height)], axis=1)


def _grey(heat_map):
    with np.errstate(over="ignore"):  # of what is far below 0
        return np.floor(255 * np.clip(heat_map / heat_map.max(), 0, 1) + 0.5)


def _without_bridges(mask):
    """The pixels whose distance to the nearest pixel outside is more than 10/255 of the largest."""
    if mask.all() or not mask.any():
        return mask
    distance = ndimage.distance_transform_edt(mask)
    return (distance * (255 / distance.max()) + 0.5).astype(int) > 10


def _with_cleared_border(mask):
    cleared = np.zeros_like(mask)
    cleared[1:-1, 1:-1] = mask[1:-1, 1:-1]
    return cleared


def _contour_rectangles(mask):
    """x, y, width, height of OpenCV's two-level contours (`RETR_CCOMP`), in its order.

    Regions come last in reading order first, each with its holes behind it,
    again the last first. A hole's rectangle holds the pixels around the hole.
    """
    regions, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    background, _ = ndimage.label(~np.pad(mask, 1))
    holes = {}
    for label, (rows, columns) in enumerate(ndimage.find_objects(background), start=1):
        if label == background[0, 0]:
            continue
        # In the map's own pixels, the frame of one pixel shifts everything by one.
        y = rows.start - 1
        x = columns.start + np.flatnonzero(background[rows.start, columns] == label)[0] - 1
        rectangle = (columns.start - 2, y - 1, columns.stop - columns.start + 2,
                     rows.stop - rows.start + 2)
        holes.setdefault(regions[y, x - 1], []).append(((y, x), rectangle))
    rectangles = []
    for label, (rows, columns) in reversed(list(enumerate(ndimage.find_objects(regions), 1))):
        rectangles.append((columns.start, rows.start, columns.stop - columns.start,
                           rows.stop - rows.start))
        rectangles += [rectangle for _, rectangle in sorted(holes.get(label, []), reverse=True)]
    return rectangles


def _limited(rectangle, shape):
    """The program's limits; width and height by the x and y from before limiting."""
    x, y, width, height = map(int, rectangle)
    return (_limit(x, shape[1] - MARGIN), _limit(y, shape[0] - MARGIN),
            _limit(width, shape[1] - x - MARGIN), _limit(height, shape[0] - y - MARGIN))


def _limit(value, highest):
    """`value` from 0 to `highest`, which wins where it is below 0."""
    return min(max(value, 0), highest)


def _merged(rectangles):
    """int [n, 4]: the rectangles without those that overlap a larger one too much."""
    kept = np.array(rectangles, int).reshape(-1, 4)
    first = 0
    while first < len(kept):
        much = _overlap_much(kept[first], kept[first + 1:])
        # Behind one that it removes the program passes over the next: of a row
        # of them it removes every other.
        number = np.arange(len(much))
        place_in_row = number - np.maximum.accumulate(np.where(much, -1, number)) - 1
        removed = np.flatnonzero(much & (place_in_row % 2 == 0)) + first + 1
        kept = np.delete(kept, removed, axis=0)
        first += 1
    return kept


def _overlap_much(one, others):
    """bool [n]: whether a rectangle and each of [n, 4] share more than half of the larger one's area."""
    ends, other_ends = one[:2] + one[2:], others[:, :2] + others[:, 2:]
    sides = np.minimum(ends, other_ends) - np.maximum(one[:2], others[:, :2])
    half = (np.maximum(one[2] * one[3], others[:, 2] * others[:, 3]) * 0.5).astype(int)
    return np.maximum(sides, 0).prod(axis=1) > half
