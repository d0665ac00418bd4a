"""Where what is found in each picture is laid beside what is true of it."""

import os

import numpy as np

import metrics
import ops
from cam_base import InputError
from cam_evaluation.records import Records
from metrics.centre_box import centre_box_hits


class Desk:
    """Collects what is judged of a PictureSet's pictures, one by one, in any order, and makes Records of it."""

    def __init__(self, pictures, thresholds):
        self.pictures, self.thresholds = pictures, np.asarray(thresholds)
        self.ids = pictures.ids or [os.path.basename(file) for file in pictures.files]
        self.rows, self.sizes, self.known_ious = [], [], []
        self.ranks, self.truth, self.guesses, self.guess_boxes = [], [], [], []
        self.max_box_acc, self.max_box_acc_v2 = metrics.MaxBoxAcc(thresholds), metrics.MaxBoxAccV2(thresholds)
        self.pxap = metrics.PxAP(thresholds)

    def add(self, row, size, boxes, class_map):
        """Judge what is known of the true class: the last one of the boxes [k, 4], and the class map [h, w]."""
        self.rows.append(row)
        self.sizes.append(size)
        if self.pictures.boxes:
            true = self.pictures.boxes[row]
            self.known_ious.append(best_iou(boxes[-1], true))
            if len(true):
                levels = metrics.level_boxes(metrics.score_map(class_map))
                height, width = map(int, size)
                for metric in (self.max_box_acc, self.max_box_acc_v2):
                    metric.add(levels, metrics.scale_boxes(true, (width, height)))
        if self.pictures.masks:
            self.pxap.add(metrics.score_map(class_map), *self.pictures.masks(row))

    def add_guesses(self, rank, truth, guesses, boxes):
        """Keep the true class, its rank, and the guesses [g] with as many boxes, of the picture last added."""
        self.ranks.append(rank)
        self.truth.append(truth)
        self.guesses.append(guesses)
        if boxes is not None:
            self.guess_boxes.append(boxes[:len(guesses)])

    def missing(self):
        """Rows that were not added."""
        return np.setdiff1d(np.arange(len(self.pictures)), self.rows)

    def records(self):
        """Records of the pictures added; InputError when there are none."""
        if not self.rows:
            raise InputError(f"{self.pictures.name}: none of its pictures could be read")
        kept, found = self.pictures.rows(self.rows), {}
        if self.guesses:
            guesses = np.array(self.guesses)
            boxes = np.array(self.guess_boxes) if self.guess_boxes else None
            found = {"rank": np.array(self.ranks), "guesses": guesses} | judged(guesses, boxes, self.truth, kept.boxes)
        if kept.boxes:
            found |= self._boxes(kept)
        if kept.masks:
            masks = self.pxap.histograms.swapaxes(0, 1)
            if masks[:, 1].any():
                found["masks"] = masks
            elif not found:
                raise InputError(f"{self.pictures.name}: no pixel of any mask is of an object")
        return Records([self.ids[row] for row in self.rows],
                       [class_name(kept.categories[label]) for label in kept.labels],
                       self.thresholds, excluded=kept.excluded, **found)

    def _boxes(self, kept):
        """What Records hold of the true class's boxes; a picture that has no true box is never right."""
        has_box = np.array([len(boxes) > 0 for boxes in kept.boxes])
        shape = len(has_box), len(self.thresholds)
        hits, reached = np.zeros(shape, bool), np.zeros(shape, np.uint8)
        hits[has_box] = self.max_box_acc.hits
        reached[has_box] = self.max_box_acc_v2.hits.sum(0, dtype=np.uint8)
        return {"known_iou": np.array(self.known_ious), "hits": hits, "reached": reached,
                "baseline": centre_box_hits(kept.boxes, self.sizes)}


def judged(guesses, boxes, truth, true_boxes):
    """What Records hold of guesses.

    guesses     int [n, g]; -1: none
    boxes       [n, g, 4], half-open; None where there are no true boxes
    truth       int [n]
    true_boxes  n arrays [m, 4], or None
    returns     {"right", and with boxes "guess_boxes", "guess_iou", "located"}
    """
    n, g = guesses.shape
    right, located = metrics.judge_guesses(
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
