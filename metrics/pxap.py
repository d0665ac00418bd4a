"""PxAP (Choe et al., CVPR 2020): average precision of the pixels of score maps."""

import numpy as np

from ops.arguments import real_map, truth_array
from .areas import area_under_curve
from .bootstrap import pxap_of
from .metric import THRESHOLDS, Metric
from .score_maps import ScoreMap


class PxAP(Metric):
    """Area under the pixel-wise precision-recall curve over a whole data set.

    At threshold t, all pixels of all pictures with a score >= t are taken as
    the object: precision(t) of them are, recall(t) of the object is among them,
    and PxAP = sum over t, falling, of precision(t) * (recall(t) - recall(t before)).

    thresholds  [t], rising, the first 0, all below 1

    Attribute histograms: uint32 [2, pictures, t + 1], for background and object
    the pixels in each interval between thresholds (the last: score 1), from
    which the metric of any subset of the pictures follows.
    """

    meaning = "average precision of the pixels of all pictures, against their masks"
    name, truth, shapes, curve_file = "pxap", "masks", {"masks": ("u", ("n", 2, "t + 1"))}, "precision"

    def __init__(self, thresholds=THRESHOLDS):
        super().__init__(thresholds)
        if self.thresholds[0] != 0:
            raise ValueError(f"thresholds must start with 0, not {self.thresholds[0]}")

    def evaluate(self, score_map, mask, ignore=None):
        """The row of one picture.

        score_map  float [H, W], 0 to 1, or a `ScoreMap`
        mask       bool [H, W], where the object is; of whole numbers, where it is not 0
        ignore     bool [H, W] or None: pixels of no matter, where not `mask`
        raises     ValueError when shapes differ, scores are not in [0, 1], or a mask has
                   fractions
        """
        if isinstance(score_map, ScoreMap):
            score_map = score_map.scores
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
        histogram = np.bincount(interval + len(edges) * mask[counted], minlength=2 * len(edges))
        return {"masks": histogram.astype(np.uint32).reshape(2, -1)}

    @property
    def histograms(self):
        return self.arrays["masks"].reshape(-1, 2, len(self.thresholds) + 1).swapaxes(0, 1)

    def result(self):
        """(area, precision, recall): a float, and float64 [t + 1] each, by falling
        threshold from 1; ValueError when no pixel of any picture is of an object."""
        return area_under_curve(self.histograms.sum(axis=1, dtype=np.float64))

    @staticmethod
    def statistic(arrays):
        """PxAP; 0 for a sample in which no pixel is of an object."""
        masks = arrays["masks"]
        statistic, has_object = pxap_of(masks.swapaxes(0, 1)), masks[:, 1].any(1)

        def of(counts):
            values, judged = np.zeros(len(counts)), counts @ has_object > 0
            values[judged] = statistic(counts[judged])
            return values

        return of

    @staticmethod
    def curve(arrays, thresholds):
        _, precision, recall = area_under_curve(arrays["masks"].sum(0, dtype=np.float64))
        return ("recall", recall), {"precision": precision}
