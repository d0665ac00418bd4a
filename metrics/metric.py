"""What every metric is: it evaluates pictures one by one, and keeps a row of arrays of each.

From the arrays follow the figure, its interval (`metrics.bootstrap`), and the
figure of any subset of the pictures. docs/extending.md shows how to add one.
"""

import numpy as np

from ops.arguments import real_array, shown

THRESHOLDS = np.arange(0, 1, 0.001)


class Metric:
    """Base of the metrics.

        metric.add(class_map, true_boxes, size)     # for every picture
        metric.result()

    thresholds  [t], fractions of the map's maximum, 0 <= threshold < 1

    A metric says of itself:

    name    of its figure in metrics.json
    truth   what it judges by: "boxes" or "masks"
    shapes  {array: (kinds of NumPy's dtype, shape)}; n is pictures, t thresholds, the same letter the same number
    meaning  what the figure is, in words, for the line below a table; "": its name says it
    curve_file  where its curve belongs: metrics whose curves have one axis share a file; None: it has none
    """

    name, meaning, truth, shapes, curve_file = "", "", "boxes", {}, None

    def __init__(self, thresholds=THRESHOLDS):
        self.thresholds = rising(thresholds)
        self._rows = []

    def evaluate(self, class_map, *truth):
        """The row of one picture, {array: its values}; what `add` keeps. Several threads may evaluate at a time.

        class_map  float [h, w], unscaled, or a `ScoreMap` that several metrics share
        truth      for "boxes": int [m, 4], m >= 1, x0, y0, x1, y1 in pixels of the picture,
                   half-open, and the picture's (height, width); for "masks": mask and ignore,
                   bool [224, 224]
        """
        raise NotImplementedError

    def add(self, class_map, *truth):
        """Evaluate one picture and keep it; parameters as of `evaluate`."""
        self.keep(self.evaluate(class_map, *truth))

    def keep(self, row):
        self._rows.append(row)

    @property
    def arrays(self):
        """{array: [n, ...]} of the pictures added."""
        return {name: np.array([row[name] for row in self._rows]) for name in self.shapes}

    def result(self):
        """The figure of all pictures added; ValueError when there are none."""
        if not self._rows:
            raise ValueError("there are no pictures to take a figure of")
        return float(self.statistic(self.arrays)(np.ones((1, len(self._rows)), np.float32))[0])

    @staticmethod
    def statistic(arrays):
        """The figure as a function of how often each picture counts, float32 [r, n], to [r] (`metrics.bootstrap`)."""
        raise NotImplementedError

    @staticmethod
    def details(arrays, thresholds):
        """{name: value}: what metrics.json says beside the figure, such as the threshold that was chosen."""
        return {}

    @staticmethod
    def curve(arrays, thresholds):
        """((name, values) of the axis, {column: values}): what `<curve_file>.csv` and curves.png show."""
        raise NotImplementedError


def rising(thresholds):
    """The thresholds as float64 [t], t >= 1: rising, from 0 to less than 1. Else a ValueError."""
    array = real_array(thresholds, "thresholds").astype(np.float64)
    if array.ndim != 1 or not len(array) or not ((array >= 0) & (array < 1)).all() or (np.diff(array) <= 0).any():
        raise ValueError(f"thresholds must rise, at least 0 and less than 1; they are {shown(thresholds)}")
    return array
