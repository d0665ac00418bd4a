"""What a report shows of a picture: itself, small, and the maps of some classes, with their boxes at every threshold."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

import ops
from cam_base.files import OWN_MARK
from .slider import StepBoxes, step_boxes

LARGEST_GRID = 56  # cells a side of a map as the page keeps it
QUALITY = 80  # of the pictures, as JPEG
START = 0.2  # at which the slider begins where nothing else is known: the publication's threshold


class View(NamedTuple):
    """A class's map of a picture.

    category     a Category
    probability  or None
    grid         float16 [h, w] in [0, 1], on the map's own grid
    steps        StepBoxes of the heat map from which boxes are drawn
    map_size     its (height, width)
    run          what the page calls the run that it is of; None where there is one run
    threshold    of its box, a share of the heat map's maximum, at which the page's slider begins
    box          x0, y0, x1, y1 in pixels of the picture, half-open: the box that was written or judged, which no step of the slider
                 need have; None: that of the step at the threshold
    """

    category: tuple
    probability: float | None
    grid: np.ndarray
    steps: StepBoxes
    map_size: tuple
    run: str | None = None
    threshold: float = START
    box: tuple | None = None


@dataclass
class Shown:
    """A picture of a report.

    picture  the bytes of a JPEG, or b""
    size     (height, width) of the whole picture
    right    whether the first guess is its true class, `iou` that of the true class's box; None where nobody knows
    change   of a comparison: the IoU in the first run less that in the second
    """

    name: str
    size: tuple
    picture: bytes
    views: list = field(default_factory=list)
    true_boxes: list = field(default_factory=list)
    true: tuple | None = None
    guess: tuple | None = None
    right: bool | None = None
    iou: float | None = None
    change: float | None = None
    error: str | None = None


def small_picture(pixels):
    """A picture as the page keeps it: uint8 [H, W, 3] to the bytes of a JPEG."""
    return ops.encode_jpeg(ops.panel(pixels), quality=QUALITY, comment=OWN_MARK)


def view(category, probability, grid, heat_map, run=None, threshold=START, box=None):
    """The View of a class.

    grid      float [h, w] in [0, 1]; a larger one than the page keeps is resized
    heat_map  float [H, W] in [0, 1], from which boxes are drawn
    """
    if max(grid.shape) > LARGEST_GRID:
        height, width = grid.shape
        shrink = LARGEST_GRID / max(height, width)
        grid = np.clip(ops.upsample(grid, (max(1, round(height * shrink)), max(1, round(width * shrink)))), 0, 1)
    return View(category, probability, np.asarray(grid, np.float16), step_boxes(heat_map), heat_map.shape, run, float(threshold),
                None if box is None else tuple(map(int, box)))


def shown_of(name, result, pixels):
    """The Shown of a `localization.Result`, whose picture is `pixels`, uint8 [H, W, 3]: a View for each of its classes."""
    views = [view(found.category, found.probability, found.heat_map, found.input_heat_map, None, found.threshold, found.box) for found in result]
    return Shown(name, result.size, small_picture(pixels), views, guess=views[0].category if views else None)
