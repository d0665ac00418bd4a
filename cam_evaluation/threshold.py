"""The box threshold that does best on pictures that are not the ones reported."""

import numpy as np

import cam_base
import ops
from cam_base import InputError
from cam_base.threads import in_order
from localization.boxes import paper_boxes
from localization.localizer import BATCH
from .evaluators import THREADS, sources

CANDIDATES = np.arange(0, 0.96, 0.02)


def best_box_threshold(localizer, pictures, *, batch=BATCH, progress=iter):
    """(threshold, GT-known localization there) of the publication's boxes.

    The best of 0 to 0.94 in steps of 0.02, the lowest of equals. Raises InputError
    when the pictures have no boxes.
    """
    if not pictures.boxes:
        raise InputError(f"{pictures.name} has no boxes to choose a threshold by: give --threshold a number")
    matches = cam_base.match_classes(localizer.classes, pictures.categories)
    pictures = pictures.rows(np.flatnonzero(matches[pictures.labels] >= 0))
    truth = matches[pictures.labels]

    def evaluate(maps):
        if maps.error is not None:
            return None
        heat_maps = localizer.heat_maps(localizer.refined(maps.maps, maps.colours))
        boxes = np.stack([paper_boxes(heat_maps, maps.size, threshold)[0] for threshold in CANDIDATES])
        return (ops.iou(boxes[:, None], pictures.boxes[maps.number]) >= 0.5).any(1)

    every = localizer.class_maps_of(sources(pictures), lambda _, rows: truth[rows, None], batch,
                                    largest=pictures.largest)
    right = [hits for hits in progress(in_order(evaluate, every, THREADS, 2 * THREADS)) if hits is not None]
    if not right:
        raise InputError(f"{pictures.name}: no picture to choose a threshold by")
    shares = np.mean(right, axis=0)
    best = int(shares.argmax())
    return float(CANDIDATES[best]), float(shares[best])
