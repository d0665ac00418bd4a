"""Where what is found in each picture is laid beside what is true of it."""

from typing import NamedTuple

import numpy as np

import metrics
import ops
from cam_base import InputError
from metrics.centre_box import centre_box_hits
from .records import Records


class Row(NamedTuple):
    """What was evaluated of one picture: its row in the set, its size, its GT-known IoU, and {metric: its row}."""

    number: int
    size: tuple | None
    known_iou: float
    evaluated: dict


class Collector:
    """Collects what is evaluated of a PictureSet's pictures, one by one, in any order, and makes Records of it."""

    def __init__(self, pictures, thresholds):
        self.pictures, self.thresholds = pictures, np.asarray(thresholds)
        self.ids = pictures.names
        truths = {"boxes": pictures.boxes, "masks": pictures.masks}
        self.metrics = [metric(thresholds) for metric in metrics.METRICS if truths[metric.truth]]
        self.rows, self.guessed = [], []

    def evaluate(self, number, size, boxes, class_map):
        """The Row of one picture; several threads may evaluate at a time. InputError for a mask that cannot be read.

        size       (height, width)
        boxes      [k, 4]: the last one is the true class's; None where no boxes are evaluated
        class_map  [h, w], the true class's
        """
        true = self.pictures.boxes[number] if self.pictures.boxes else None
        score_map = metrics.ScoreMap(class_map)
        masks = self.pictures.masks(number) if self.pictures.masks else None
        evaluated = {}
        for metric in self.metrics:
            if metric.truth == "masks":
                evaluated[metric.name] = metric.evaluate(score_map, *masks)
            elif len(true):
                evaluated[metric.name] = metric.evaluate(score_map, true, tuple(map(int, size)))
        return Row(number, size, best_iou(boxes[-1], true) if self.pictures.boxes else 0.0, evaluated)

    def add(self, row):
        """Keep a Row."""
        self.rows.append(row)
        for metric in self.metrics:
            if metric.name in row.evaluated:
                metric.keep(row.evaluated[metric.name])

    def add_guesses(self, rank, truth, guesses, boxes):
        """Keep the true class, its rank, and the guesses [g] with as many boxes (or None), of the picture last added."""
        self.guessed.append((rank, truth, guesses, boxes))

    def records(self, warnings=(), classes=None):
        """Records of the pictures added; InputError when there are none, with the first of `warnings` that says why.

        classes  of how many the guesses are
        """
        if not self.rows:
            why = next((f": {warning.removeprefix('skipped ')}" for warning in warnings if warning.startswith("skipped ")), "")
            raise InputError(f"{self.pictures.name}: none of its pictures could be judged{why}")
        numbers = [row.number for row in self.rows]
        kept, found = self.pictures.rows(numbers), {}
        if self.guessed:
            ranks, truth, guesses, boxes = zip(*self.guessed)
            guesses = np.array(guesses)
            boxes = None if boxes[0] is None else np.stack([some[:guesses.shape[1]] for some in boxes])
            found = {"rank": np.array(ranks), "guesses": guesses, "classes": None if classes is None else np.array(classes)} | guess_records(guesses, boxes, truth, kept.boxes)
        if kept.boxes:
            found |= {"known_iou": np.array([row.known_iou for row in self.rows]),
                      "baseline": centre_box_hits(kept.boxes, [row.size for row in self.rows])}
        arrays = {}
        for metric in self.metrics:
            arrays |= self._arrays(metric, only=not found)
        found |= {} if len(set(kept.files)) == len(kept) or kept.draw else {"picture": kept.numbers}
        return Records([self.ids[number] for number in numbers],
                       [class_name(kept.categories[label]) for label in kept.labels],
                       self.thresholds, excluded=kept.excluded, metric_arrays=arrays, **found)

    def _arrays(self, metric, only):
        """A metric's arrays; a picture that it could not judge, for want of a true box, is never right.

        A metric that has no figure of these pictures has no arrays; where it is the
        only one, that is an InputError.
        """
        has_row = np.array([metric.name in row.evaluated for row in self.rows])
        if has_row.any():
            try:
                metric.result()
            except ValueError as error:
                if only:
                    raise InputError(f"{self.pictures.name}: {error}") from None
                return {}
        arrays = {}
        for name, (kinds, shape) in metric.shapes.items():
            found = metric.arrays[name]
            sides = {"t": len(self.thresholds), "t + 1": len(self.thresholds) + 1}
            arrays[name] = np.zeros((len(self.rows), *(sides.get(side, side) for side in shape[1:])),
                                    found.dtype if has_row.any() else kinds[0] + "1")
            if has_row.any():
                arrays[name][has_row] = found
        return arrays


def guess_records(guesses, boxes, truth, true_boxes):
    """What Records hold of guesses.

    guesses     int [n, g]; -1: none
    boxes       [n, g, 4], half-open; None where there are no true boxes
    truth       int [n]
    true_boxes  n arrays [m, 4], or None
    returns     {"right", and with boxes "guess_boxes", "guess_iou", "located"}
    """
    n, g = guesses.shape
    right, located = metrics.evaluate_guesses(
        guesses + 1, np.zeros((n, g, 4)) if boxes is None else boxes, np.asarray(truth) + 1,
        true_boxes or [np.zeros((0, 4))] * n)
    if boxes is None:
        return {"right": right}
    ious = np.array([[best_iou(box, true) for box in of_one] for of_one, true in zip(boxes, true_boxes)])
    return {"right": right, "guess_boxes": boxes, "guess_iou": ious, "located": located}


def best_iou(box, true_boxes):
    """IoU of a box [4] and the one of the true boxes [m, 4] it fits best; 0 where there are none."""
    return ops.iou(box, true_boxes).max(initial=0.0)


def class_name(category):
    return category.wnid or category.label
