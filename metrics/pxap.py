"""PxAP (Choe et al., CVPR 2020): average precision of the pixels of score maps."""

import numpy as np

from metrics.max_box_acc import THRESHOLDS, rising
from ops.arguments import real_array, real_map, truth_array


class PxAP:
    """Area under the pixel-wise precision-recall curve over a whole data set.

    At threshold t, all pixels of all pictures with a score >= t are taken as
    the object: precision(t) of them are, recall(t) of the object is among them,
    and PxAP = sum over t, falling, of precision(t) * (recall(t) - recall(t before)).

    thresholds  [t], rising, the first 0, all below 1

    Attribute histograms: uint32 [2, pictures, t + 1], for background and object
    the pixels in each interval between thresholds (the last: score 1), from
    which the metric of any subset of the pictures follows.
    """

    def __init__(self, thresholds=THRESHOLDS):
        self.thresholds = rising(thresholds)
        if self.thresholds[0] != 0:
            raise ValueError(f"thresholds must start with 0, not {self.thresholds[0]}")
        self._histograms = []

    def add(self, score_map, mask, ignore=None):
        """Judge one picture.

        score_map  float [H, W], 0 to 1
        mask       bool [H, W], where the object is; of whole numbers, where it is not 0
        ignore     bool [H, W] or None: pixels of no matter, where not `mask`
        raises     ValueError when shapes differ, scores are not in [0, 1], or a mask has
                   fractions
        """
        score_map, mask = real_map(score_map, "score_map"), truth_array(mask, "mask")
        ignore = np.zeros_like(mask) if ignore is None else truth_array(ignore, "ignore")
        if not score_map.shape == mask.shape == ignore.shape:
            raise ValueError(f"the score map is {score_map.shape}, its mask {mask.shape}, "
                             f"what to ignore {ignore.shape}; they must be equal")
        if not (score_map.min() >= 0 and score_map.max() <= 1):  # fails for NaN, too
            raise ValueError("score_map must be from 0 to 1, without NaN")
        edges = np.append(self.thresholds, 1.0)
        counted = mask | ~ignore
        interval = np.searchsorted(edges, score_map[counted], side="right") - 1
        self._histograms.append(np.bincount(
            interval + len(edges) * mask[counted], minlength=2 * len(edges)).astype(np.uint32))

    @property
    def histograms(self):
        return np.array(self._histograms, np.uint32).reshape(
            -1, 2, len(self.thresholds) + 1).swapaxes(0, 1)

    def result(self):
        """(area, precision, recall): a float, and float64 [t + 1] each, by falling
        threshold from 1; ValueError when no pixel of any picture is of an object."""
        return area_under_curve(self.histograms.sum(axis=1, dtype=np.float64))


def area_under_curve(histograms):
    """PxAP of histograms of background and object.

    histograms  [2, t + 1], by rising threshold
    returns     (area, precision, recall), see `PxAP.result`
    raises      ValueError when no pixel is of the object, and for what are no histograms
    """
    histograms = real_array(histograms, "histograms")
    if histograms.ndim != 2 or len(histograms) != 2 or not histograms.size:
        raise ValueError(f"histograms must be [2, t + 1]; their shape is {histograms.shape}")
    background, found = np.cumsum(histograms[:, ::-1], axis=1)
    if not (histograms.min() >= 0 and np.isfinite(found[-1] + background[-1])):
        raise ValueError("histograms must be finite and not negative")
    if not found[-1]:
        raise ValueError("no pixel of any picture belongs to an object")
    taken = found + background
    precision = np.divide(found, taken, out=np.zeros(len(taken)), where=taken > 0)
    recall = found / found[-1]
    return float(precision @ np.diff(recall, prepend=0)), precision, recall
