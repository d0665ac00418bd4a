"""The area under a precision-recall curve, from histograms of scores."""

import numpy as np

from ops.arguments import real_array


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
        raise ValueError("no pixel of any mask is of an object")
    taken = found + background
    precision = np.divide(found, taken, out=np.zeros(len(taken)), where=taken > 0)
    recall = found / found[-1]
    return float(precision @ np.diff(recall, prepend=0)), precision, recall
