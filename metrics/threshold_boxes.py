"""The boxes of a score map at every threshold, in one pass over its levels."""

from typing import NamedTuple

import numpy as np

from ops.arguments import real_array, real_map
from .level_regions import LEVELS, Regions


class LevelBoxes(NamedTuple):
    """Boxes of the contours of `grey > level`, for every level 0 to 255.

    largest  int [256, 4]: the largest contour's box, all zero where there is none
    box      int [n, 4]: the boxes of all contours, by rising level
    level    int [n]: the level of each
    shape    (H, W) of the score map
    peak     the highest level in it, 255 for a map scaled to [0, 1]

    Boxes are x0, y0, x1, y1 in pixels, half-open.
    """

    largest: np.ndarray
    box: np.ndarray
    level: np.ndarray
    shape: tuple[int, int]
    peak: int

    def levels_of(self, thresholds):
        """int [t]: the levels that thresholds, as fractions of the maximum, stand for.

        thresholds  [t], 0 <= threshold < 1
        raises      ValueError when a threshold is not in that range
        """
        thresholds = real_array(thresholds, "thresholds").astype(np.float64)
        if not ((thresholds >= 0) & (thresholds < 1)).all():
            raise ValueError("thresholds must be at least 0 and less than 1")
        return (thresholds * self.peak).astype(int)


def level_boxes(score_map):
    """Boxes of all contours of an 8-bit score map, at all of its levels.

    The contours are those of OpenCV's `findContours` with `RETR_TREE` on
    `grey > level`, grey = uint8(255 * score_map): the outer contours of the
    8-connected regions above the level, and the contours of their holes, that
    is of the 4-connected regions at or below the level that do not reach the
    border of the map. A hole's contour runs on the pixels around the hole, so
    its box is one pixel larger than the hole on each side.

    The largest contour has the largest polygon area (`contourArea`: pixel
    centres are the corners, so a line has area 0). Among equals it is OpenCV's
    first, the one whose first pixel in reading order comes last; an outer
    contour comes before its holes and is never smaller.

    score_map  float [H, W], 0 to 1
    returns    LevelBoxes
    raises     ValueError when the map is not [H, W], is empty, or has values
               outside [0, 1], NaN included
    """
    heights = _heights(score_map)
    parts = Regions(np.pad(heights, 1), eight_connected=True)
    holes = Regions(np.pad(0xFFFF - heights, 1, constant_values=0xFFFF),
                    eight_connected=False)
    part, part_level = parts.nodes()
    hole, hole_level = holes.nodes()
    inside = hole != holes.frame
    hole, hole_level = hole[inside], hole_level[inside]

    # A region of level v has grey > v - 1; a hole, in the negative, grey <= 255 - v.
    level = np.concatenate([part_level - 1, LEVELS - 1 - hole_level])
    box = np.concatenate([parts.boxes(part, part_level) - 1,
                          holes.boxes(hole, hole_level) + [-2, -2, 0, 0]])
    order = np.argsort(level, kind="stable")

    enclosed_by = _outermost(parts, part, part_level, holes, hole, hole_level)
    outer = np.flatnonzero(enclosed_by == np.arange(len(level)))
    if len(outer) > part_level.max(initial=0):  # areas decide only between several
        twice_area = np.bincount(enclosed_by, weights=np.concatenate(
            [parts.twice_areas(part, part_level), holes.twice_areas(hole, hole_level)]))
        outer = outer[np.lexsort([parts.order(part, part_level)[outer],
                                  twice_area[outer], level[outer]])]
        outer = outer[np.flatnonzero(np.diff(level[outer], append=LEVELS))]
    largest = np.zeros((LEVELS, 4), np.int64)
    largest[level[outer]] = box[outer]
    return LevelBoxes(largest, box[order], level[order], heights.shape,
                      int(heights.max()) >> 8)


def _heights(score_map):
    """uint16 [H, W]: the 8-bit level, and below it what the 8 bits drop.

    The low byte keeps the true order of pixels that share a level.
    """
    score_map = real_map(score_map, "score_map")
    if not (score_map.min() >= 0 and score_map.max() <= 1):  # fails for NaN, too
        raise ValueError("score_map must be from 0 to 1, without NaN")
    if score_map.dtype.kind != "f":
        score_map = score_map.astype(np.float64)
    # The protocol multiplies by 255 in the map's own precision; by 256 is exact.
    return (score_map * 255 * 256).astype(np.uint16)


def _outermost(parts, part, part_level, holes, hole, hole_level):
    """For every contour (outer ones, then holes) the one that encloses it all.

    What lies left of a region's leftmost pixel lies around the region: the
    hole or the background around an outer contour, the region around a hole.
    """
    number = np.full(holes.born.size * LEVELS, -1)
    number[hole * LEVELS + hole_level] = len(part) + np.arange(len(hole))
    level = LEVELS - part_level
    around = holes.root(holes.basin[parts.left_of(part, part_level)], level)
    of_parts = number[around * LEVELS + level]

    number = np.full(parts.born.size * LEVELS, -1)
    number[part * LEVELS + part_level] = np.arange(len(part))
    level = LEVELS - hole_level
    around = parts.root(parts.basin[holes.left_of(hole, hole_level)], level)
    parent = np.concatenate([of_parts, number[around * LEVELS + level]])

    parent = np.where(parent < 0, np.arange(len(parent)), parent)
    while True:
        further = parent[parent]
        if np.array_equal(further, parent):
            return parent
        parent = further
