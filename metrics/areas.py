"""The area under a precision-recall curve, from histograms of scores."""

import numpy as np


def area_under_curve(histograms):
    """PxAP of histograms of background and object.

    histograms  [2, t + 1], by rising threshold
    returns     (area, precision, recall), see `PxAP.result`
    raises      ValueError when no pixel is of the object
    """
    background, found = np.cumsum(np.asarray(histograms)[:, ::-1], axis=1)
    if not found[-1]:
        raise ValueError("no pixel of any mask is of an object")
    taken = found + background
    precision = np.divide(found, taken, out=np.zeros(len(taken)), where=taken > 0)
    recall = found / found[-1]
    return float(precision @ np.diff(recall, prepend=0)), precision, recall
