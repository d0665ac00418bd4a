"""MaxBoxAcc and MaxBoxAccV2 (Choe et al., CVPR 2020), for anyone's score maps.

Both ask how often the box drawn around the pixels above a threshold overlaps a
true box, and take the threshold that does best over the whole data set:

    boxes = level_boxes(score_map(class_map))
    true = scale_boxes(true_boxes, (width, height))
    metric.add(boxes, true)         # for every picture
    metric.result().accuracy
"""

from typing import NamedTuple

import numpy as np

from metrics.threshold_boxes import LevelBoxes
from ops.arguments import real_array, shown, truth_array
from ops.boxes import iou

THRESHOLDS = np.arange(0, 1, 0.001)


class BestThreshold(NamedTuple):
    """accuracy: fraction of pictures; threshold: where it is reached (the lowest,
    when there are several); curve: float64 [thresholds], the accuracy at each."""

    accuracy: float
    threshold: float
    curve: np.ndarray


def rising(thresholds):
    """The thresholds as float64 [t], t >= 1: rising, from 0 to less than 1. Else a ValueError."""
    array = real_array(thresholds, "thresholds").astype(np.float64)
    if array.ndim != 1 or not len(array) or not ((array >= 0) & (array < 1)).all() or (np.diff(array) <= 0).any():
        raise ValueError(f"thresholds must rise, at least 0 and less than 1; they are {shown(thresholds)}")
    return array


class MaxBoxAcc:
    """The largest contour's box against any true box, at IoU >= 0.5.

    thresholds  [t], rising fractions of the map's maximum, 0 <= threshold < 1

    Attribute hits: bool [pictures, t], from which the metric of any subset or
    resample of the pictures follows (`metrics.bootstrap.best_accuracy_of`).
    """

    def __init__(self, thresholds=THRESHOLDS):
        self.thresholds = rising(thresholds)
        self._hits = []

    def add(self, boxes, true_boxes):
        """Judge one picture.

        boxes       LevelBoxes of its score map
        true_boxes  int [m, 4], m >= 1: x0, y0, x1, y1 in pixels of the score
                    map, half-open (see `scale_boxes`)
        raises      ValueError for what is neither
        """
        boxes = _level_boxes(boxes)
        best = _iou(boxes.largest, true_boxes, boxes.shape)
        self._hits.append(best[boxes.levels_of(self.thresholds)] >= 0.5)

    @property
    def hits(self):
        return np.array(self._hits).reshape(-1, len(self.thresholds))

    def result(self):
        """BestThreshold over all pictures added; ValueError when there are none."""
        return best_threshold(self.hits, self.thresholds)


class MaxBoxAccV2:
    """The best of all contours' boxes, at IoU >= 0.3, 0.5 and 0.7: the mean of three.

    thresholds  [t], rising fractions of the map's maximum, 0 <= threshold < 1

    Attribute hits: bool [3, pictures, t].
    """

    IOUS = 0.3, 0.5, 0.7

    def __init__(self, thresholds=THRESHOLDS):
        self.thresholds = rising(thresholds)
        self._reached = []  # how many of the three IoUs, which contain each other

    def add(self, boxes, true_boxes):
        """Judge one picture; see `MaxBoxAcc.add`."""
        boxes = _level_boxes(boxes)
        # A level without contours has the box 0, 0, 0, 0.
        best = _iou(boxes.largest, true_boxes, boxes.shape)
        np.maximum.at(best, boxes.level, _iou(boxes.box, true_boxes, boxes.shape))
        best = best[boxes.levels_of(self.thresholds)]
        self._reached.append(np.searchsorted(self.IOUS, best, side="right").astype(np.uint8))

    @property
    def hits(self):
        reached = np.array(self._reached, np.uint8).reshape(-1, len(self.thresholds))
        return reached > np.arange(len(self.IOUS))[:, None, None]

    def result(self):
        """(mean accuracy, three BestThreshold); ValueError when there are no pictures."""
        best = [best_threshold(hits, self.thresholds) for hits in self.hits]
        return float(np.mean([b.accuracy for b in best])), best


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


def _level_boxes(boxes):
    if not isinstance(boxes, LevelBoxes):
        raise ValueError(f"boxes must be what level_boxes gives; they are {shown(boxes)}")
    return boxes


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
    return iou((last + [0, 0, 1, 1])[:, None], true_boxes).max(axis=1)
