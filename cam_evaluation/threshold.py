"""The box threshold that does best on pictures that are not the ones reported."""

import numpy as np

import cam_base
import cam_data
import ops
from cam_base import InputError
from cam_evaluation.judging import BATCH
from localization.boxes import paper_boxes

CANDIDATES = np.arange(0, 0.96, 0.02)


def best_box_threshold(localizer, pictures, progress=iter):
    """(threshold, GT-known localization there) of the publication's boxes.

    The best of 0 to 0.94 in steps of 0.02, the lowest of equals. Raises InputError
    when the pictures have no boxes.
    """
    if not pictures.boxes:
        raise InputError(f"{pictures.name} has no boxes to choose a threshold by: give --threshold a number")
    matches = cam_base.match_classes(localizer.classes, pictures.categories)
    pictures = pictures.rows(np.flatnonzero(matches[pictures.labels] >= 0))
    right, count = np.zeros(len(CANDIDATES)), 0
    for inputs, labels, rows, sizes in progress(cam_data.viewing_batches(pictures, localizer.viewing, BATCH)):
        truth = np.zeros((len(inputs), 1), int)
        truth[:len(labels), 0] = matches[labels.numpy()]
        seen = localizer(inputs, lambda _: truth)
        for number, (row, size) in enumerate(zip(rows.numpy(), sizes.numpy())):
            boxes = np.stack([paper_boxes(seen.heat_maps[number], size, threshold)[0] for threshold in CANDIDATES])
            right += (ops.iou(boxes[:, None], pictures.boxes[row]) >= 0.5).any(1)
            count += 1
    if not count:
        raise InputError(f"{pictures.name}: no picture to choose a threshold by")
    best = int(right.argmax())
    return float(CANDIDATES[best]), float(right[best] / count)
