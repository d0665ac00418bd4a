"""MaxBoxAcc and MaxBoxAccV2 (Choe et al., CVPR 2020), for anyone's score maps.

Both ask how often the box drawn around the pixels above a threshold overlaps a
true box, and take the threshold that does best over the whole data set:

    metric.add(class_map, true_boxes, (height, width))         # for every picture
    metric.result().accuracy
"""

from typing import NamedTuple

import numpy as np

from ops.arguments import real_array, real_boxes, shown, truth_array
from ops.boxes import iou
from .bootstrap import best_accuracy_of
from .metric import Metric, rising
from .score_maps import ScoreMap, scale_boxes
from .threshold_boxes import LevelBoxes


class BestThreshold(NamedTuple):
    """accuracy: fraction of pictures; threshold: where it is reached (the lowest,
    when there are several); curve: float64 [thresholds], the accuracy at each."""

    accuracy: float
    threshold: float
    curve: np.ndarray


class MaxBoxAcc(Metric):
    """The largest contour's box against any true box, at IoU >= 0.5.

    Attribute hits: bool [pictures, t], from which the metric of any subset or
    resample of the pictures follows (`metrics.bootstrap.best_accuracy_of`).
    """

    meaning = "GT-known localization at the best of all thresholds, chosen on these very pictures"
    name, shapes, curve_file = "max_box_acc", {"hits": ("b", ("n", "t"))}, "accuracy"

    def evaluate(self, class_map, true_boxes, size=None):
        """As `Metric.evaluate`. Of LevelBoxes in place of the map, true boxes are in the map's pixels, without a size."""
        boxes, true_boxes = _levels_and_truth(class_map, true_boxes, size)
        best = _iou(boxes.largest, true_boxes, boxes.shape)
        return {"hits": best[boxes.levels_of(self.thresholds)] >= 0.5}

    @property
    def hits(self):
        return self.arrays["hits"].reshape(-1, len(self.thresholds))

    def result(self):
        """BestThreshold over all pictures added; ValueError when there are none."""
        return best_threshold(self.hits, self.thresholds)

    @staticmethod
    def statistic(arrays):
        return best_accuracy_of(arrays["hits"])

    @staticmethod
    def details(arrays, thresholds):
        return {"max_box_acc_threshold": round(best_threshold(arrays["hits"], thresholds).threshold, 6)}

    @staticmethod
    def curve(arrays, thresholds):
        return ("threshold", thresholds), {"max_box_acc": arrays["hits"].mean(0)}


class MaxBoxAccV2(Metric):
    """The best of all contours' boxes, at IoU >= 0.3, 0.5 and 0.7: the mean of three.

    Attribute hits: bool [3, pictures, t]. The array "reached", uint8, says how many
    of the three IoUs, which contain each other, are reached.
    """

    meaning = "the mean of that at IoUs of 0.3, 0.5 and 0.7, of the best of all boxes of a map"
    name, shapes, curve_file = "max_box_acc_v2", {"reached": ("u", ("n", "t"))}, "accuracy"
    IOUS = 0.3, 0.5, 0.7

    def evaluate(self, class_map, true_boxes, size=None):
        """As `MaxBoxAcc.evaluate`."""
        boxes, true_boxes = _levels_and_truth(class_map, true_boxes, size)
        # A level without contours has the box 0, 0, 0, 0.
        best = _iou(boxes.largest, true_boxes, boxes.shape)
        np.maximum.at(best, boxes.level, _iou(boxes.box, true_boxes, boxes.shape))
        best = best[boxes.levels_of(self.thresholds)]
        return {"reached": np.searchsorted(self.IOUS, best, side="right").astype(np.uint8)}

    @property
    def hits(self):
        return hits_v2(self.arrays["reached"].reshape(-1, len(self.thresholds)))

    def result(self):
        """(mean accuracy, three BestThreshold); ValueError when there are no pictures."""
        best = [best_threshold(hits, self.thresholds) for hits in self.hits]
        return float(np.mean([b.accuracy for b in best])), best

    @staticmethod
    def statistic(arrays):
        return best_accuracy_of(hits_v2(arrays["reached"]))

    @staticmethod
    def details(arrays, thresholds):
        return {"max_box_acc_v2_thresholds": [round(best_threshold(hits, thresholds).threshold, 6)
                                              for hits in hits_v2(arrays["reached"])]}

    @classmethod
    def curve(cls, arrays, thresholds):
        return ("threshold", thresholds), {
            f"max_box_acc_v2_at_{iou}": hits.mean(0) for iou, hits in zip(cls.IOUS, hits_v2(arrays["reached"]))}


def hits_v2(reached):
    """bool [3, n, t] of uint8 [n, t]: whether each picture reaches MaxBoxAccV2's IoUs."""
    return reached > np.arange(len(MaxBoxAccV2.IOUS))[:, None, None]


def best_threshold(hits, thresholds):
    """The threshold at which most pictures are hits.

    hits        bool [pictures, t]
    thresholds  [t], rising
    returns     BestThreshold
    raises      ValueError when there are no pictures, or not as many thresholds as hits
    """
    hits, thresholds = truth_array(hits, "hits"), rising(thresholds)
    if hits.ndim != 2 or hits.shape[1] != len(thresholds):
        raise ValueError(f"hits must be [pictures, {len(thresholds)}]; their shape is {hits.shape}")
    if not len(hits):
        raise ValueError("there are no pictures to take an accuracy of")
    curve = hits.mean(axis=0)
    best = int(curve.argmax())
    return BestThreshold(float(curve[best]), float(thresholds[best]), curve)


def _levels_and_truth(class_map, true_boxes, size):
    """(LevelBoxes, true boxes in their pixels)."""
    if isinstance(class_map, LevelBoxes):
        return class_map, true_boxes
    true_boxes = real_boxes(true_boxes, "true_boxes")
    sides = None if size is None else real_array(size, "size")
    if sides is None or sides.shape != (2,) or not ((sides > 0) & (sides < np.inf)).all():
        raise ValueError("size must be (height, width) of the picture that the class_map and its true boxes are of; "
                         f"it is {shown(size)}")
    return ScoreMap.of(class_map).levels, scale_boxes(true_boxes, sides[::-1])


def _iou(boxes, true_boxes, shape):
    """float64 [n]: the IoU of each contour's box and the true box that it fits best.

    The protocol takes x + w and y + h, the first pixel behind a contour, for its
    last one, and limits it to the map. No contour (a box of no width) is the
    pixel 0, 0.
    """
    true_boxes = real_array(true_boxes, "true_boxes")
    if true_boxes.ndim != 2 or true_boxes.shape[1] != 4 or not len(true_boxes):
        raise ValueError(f"true boxes (true_boxes) must be [m, 4], m >= 1; their shape is {true_boxes.shape}")
    if not np.isfinite(true_boxes).all():
        raise ValueError("true_boxes have values that are not finite")
    last = np.minimum(boxes, [shape[1], shape[0], shape[1] - 1, shape[0] - 1])
    # One by one: all with all would be gigabytes, of maps of noise and crowds of boxes.
    found = last + [0, 0, 1, 1]
    best = np.zeros(len(found))
    for true_box in true_boxes:
        np.maximum(best, iou(found, true_box), out=best)
    return best
