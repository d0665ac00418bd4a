"""The figure that every localizer must beat: a box in the middle of the picture."""

import itertools

import numpy as np

from ops.arguments import LARGEST_SIDE, boxes_of_pictures, real, real_array
from ops.boxes import iou

STEPS = np.arange(1, 21) / 20


def centre_box_baseline(boxes, sizes, least_iou=0.5):
    """Share of pictures that the best centred box gets right: one width and height for all.

    The box's width and height are 5 % to 100 % of each picture's, in steps of
    5 %, and the best of the 400 pairs is chosen on these pictures themselves.

    boxes    one array [n, 4] for each picture: its true boxes in pixels,
             x0, y0, x1, y1, half-open; right is an IoU of `least_iou` with any
    sizes    [pictures, 2]: height and width of each picture
    returns  (share, width, height): float in [0, 1], and the box as fractions
    raises   ValueError when there are no pictures, not as many sizes as pictures, a size
             that is not positive, or an IoU that is not above 0 and at most 1
    """
    shares = centre_box_hits(boxes, sizes, least_iou).mean(0)
    row, column = np.unravel_index(shares.argmax(), (len(STEPS), len(STEPS)))
    return float(shares.max()), float(STEPS[column]), float(STEPS[row])


def centre_box_hits(boxes, sizes, least_iou=0.5):
    """Which of the 400 centred boxes are right for each picture: bool [pictures, 400], by height, then width.

    Parameters and errors as of `centre_box_baseline`.
    """
    boxes, sizes = boxes_of_pictures(boxes, "boxes"), real_array(sizes, "sizes")
    least_iou = real(least_iou, "least_iou")
    if not boxes or sizes.shape != (len(boxes), 2):
        raise ValueError(f"boxes of {len(boxes)} pictures and sizes of shape {sizes.shape}; "
                         "there must be at least one picture, and sizes [pictures, 2]")
    if not ((sizes > 0) & (sizes <= LARGEST_SIDE)).all():
        raise ValueError(f"sizes must be a height and a width for each picture, above 0, at most {LARGEST_SIDE}")
    if not 0 < least_iou <= 1:
        raise ValueError(f"least_iou is {least_iou}; it must be above 0 and at most 1")
    owner = np.repeat(np.arange(len(boxes)), [len(some) for some in boxes])
    every = np.concatenate(boxes)
    height, width = sizes.astype(float)[owner].T
    hits = np.zeros((len(boxes), len(STEPS) ** 2), bool)
    for number, (h, w) in enumerate(itertools.product(STEPS, STEPS)):
        centred = np.stack([width * (1 - w), height * (1 - h), width * (1 + w), height * (1 + h)], 1) / 2
        hits[owner[iou(centred, every) >= least_iou], number] = True
    return hits
