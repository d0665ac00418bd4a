"""The boxes of a heat map at every step of a threshold slider, at once: what `ops.segments` gives at each, exactly."""

from typing import NamedTuple

import numpy as np

from metrics.level_regions import Regions

STEPS = 100  # of the slider: thresholds 0, 0.01, ... 0.99
MOST = 255  # segments of a step that are kept, the largest


class StepBoxes(NamedTuple):
    """What there is above each threshold.

    count  uint8 [STEPS]: segments, at least 1
    box    int32 [sum of count, 4]: theirs, largest first, half-open, in pixels of the map
    peak   uint8 [STEPS]: which of them, from 0, holds the map's maximum
    """

    count: np.ndarray
    box: np.ndarray
    peak: np.ndarray

    def at(self, step):
        first = int(self.count[:step].sum())
        return self.box[first:first + int(self.count[step])]


def step_boxes(heat_map):
    """StepBoxes of a heat map, float [H, W], finite and not negative; the first box of a step is section 3.2's.

    The pixels above a threshold are those of all higher ones and some more, so one tree
    (`metrics.level_regions`) holds the segments of all steps.
    """
    heat_map = np.asarray(heat_map)
    height, width = heat_map.shape
    # The very comparison of `ops.boxes_from_heat_maps`, in the map's own precision.
    cuts = np.array([step / STEPS * heat_map.max() for step in range(STEPS)], heat_map.dtype)
    level = np.searchsorted(cuts, heat_map.ravel(), side="left").reshape(heat_map.shape)  # thresholds that a pixel is above
    regions = Regions(np.pad(_heights(heat_map, level, cuts), 1), eight_connected=True)
    basin, node_level = regions.nodes()
    box = regions.boxes(basin, node_level) - 1
    step, area = node_level - 1, regions.areas(basin, node_level)
    order = np.lexsort([regions.order(basin, node_level), -area, step])
    step, box = step[order], box[order]
    place = np.arange(len(step)) - np.searchsorted(step, step)  # among those of its step
    held = _holds_peak(regions, heat_map, basin[order], step)
    # Of more segments than are kept, the peak's own takes the last place.
    far = held & (place >= MOST)
    place[np.isin(step, step[far]) & (place == MOST - 1)] = MOST
    place[far] = MOST - 1
    peak = np.zeros(STEPS, np.uint8)
    peak[step[held]] = place[held]
    step, box = step[place < MOST], box[place < MOST]
    # Above no pixel there is no segment: the box is the whole map.
    empty = np.setdiff1d(np.arange(STEPS), step)
    whole = np.tile([0, 0, width, height], (len(empty), 1))
    step, box = np.concatenate([step, empty]), np.concatenate([box, whole])
    order = np.argsort(step, kind="stable")
    return StepBoxes(np.bincount(step, minlength=STEPS).astype(np.uint8), box[order].astype(np.int32), peak)


def _holds_peak(regions, heat_map, basin, step):
    """bool [segments]: which has the map's maximum."""
    y, x = np.unravel_index(heat_map.argmax(), heat_map.shape)
    highest = regions.basin[(y + 1) * (heat_map.shape[1] + 2) + x + 1]
    steps = np.unique(step)
    roots = regions.root(np.full(len(steps), highest), steps + 1)
    return np.isin(step * regions.born.size + basin, steps * regions.born.size + roots)


def _heights(heat_map, level, cuts):
    """uint16 [H, W]: the level, and below it how far up to the next one, which keeps a smooth map's peaks few."""
    edges = np.append(cuts, heat_map.max()).astype(np.float64)
    low, high = edges[np.maximum(level - 1, 0)], edges[np.minimum(level, STEPS)]
    share = (heat_map - low) / np.where(high > low, high - low, 1)
    return (level << 8 | np.clip(share * 255, 0, 255).astype(int)).astype(np.uint16)
