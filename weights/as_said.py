"""Weights of a file, and what a user says of them in its place."""

from dataclasses import replace

import numpy as np

from cam_base import InputError
from . import formats
from .class_names import renamed


def load_as_said(path, *, entry=None, class_names=None, preprocessing=None, multi_label=False):
    """What `load` gives of a file, changed.

    class_names    a path, as `read_class_names` takes it
    preprocessing  {field of `cam_base.Preprocessing`: value}, in place of the file's
    multi_label    whether each logit is a sigmoid of its own; False: as the file says
    raises         InputError
    """
    # The constants of layers that a Keras .weights.h5 does not hold are those of pixels: scale, mean, deviation.
    given = {"preprocessing"} if preprocessing and {"scale", "mean", "deviation"} <= set(preprocessing) else set()
    weights = formats.load(path, entry, given | ({"multi_label"} if multi_label else set()))
    if class_names:
        weights = renamed(weights, class_names)
    if preprocessing:
        weights = replace(weights, preprocessing=replace(weights.preprocessing, **preprocessing))
    if not multi_label:
        return weights
    kernel = weights.tensors.get("head/kernel")
    if kernel is not None and kernel.shape[1] == 2 and np.array_equal(kernel[:, 0], -kernel[:, 1]):
        raise InputError(f"{path} has one logit, whose sigmoid is the probability of one class and against the other: --multi-label is for several")
    return replace(weights, multi_label=True)
