"""ILSVRC classification and localization error, as the development kit's `eval_clsloc`."""

from typing import NamedTuple

import numpy as np

from ops.arguments import boxes_of_pictures, listed, real_array, shown, truth_array, whole_array
from ops.boxes import iou

GUESSES = 5


class IlsvrcErrors(NamedTuple):
    """Errors of the first 1 to 5 guesses: float64 [5], fractions; [r, 5] for r samples.

    classification        over all pictures
    localization          over the pictures that are not excluded, as the kit has it
    localization_of_all   over all pictures
    """

    classification: np.ndarray
    localization: np.ndarray
    localization_of_all: np.ndarray


def evaluate_guesses(classes, boxes, true_classes, true_boxes):
    """Which pictures are right within their first guesses, and which are located.

    A guess is right when its class is the picture's; it locates when it also
    overlaps any true box of that class with IoU >= 0.5. The kit counts pixels
    of inclusive boxes: the same as half-open ones. A picture without a true box
    cannot be located (the kit stops at one unless it is excluded).

    classes       int [n, g], g <= 5, best guess first; 0: no guess
    boxes         [n, g, 4]: x0, y0, x1, y1 in pixels, half-open, finite
    true_classes  int [n], from 1
    true_boxes    n arrays [m, 4], those of the true class, half-open
    returns       (right, located), bool [n, 5]: within the first guess, two, ... five
    raises        ValueError when the shapes do not fit, for classes below 0, and for true
                  classes below 1
    """
    classes, true_classes = whole_array(classes, "classes"), whole_array(true_classes, "true_classes")
    boxes, true_boxes = real_array(boxes, "boxes"), boxes_of_pictures(true_boxes, "true_boxes")
    if not (classes.ndim == 2 and classes.shape[1] <= GUESSES and boxes.shape == (*classes.shape, 4)
            and true_classes.shape == (len(true_boxes),) == classes.shape[:1]):
        raise ValueError(f"classes {classes.shape} and boxes {boxes.shape} were guessed for "
                         f"true_classes {true_classes.shape} and {len(true_boxes)} true_boxes; "
                         "they must be [n, g], [n, g, 4], [n] and n, g at most 5")
    if (classes < 0).any() or (true_classes < 1).any():
        raise ValueError("classes must be at least 0, and true_classes at least 1")
    if not np.isfinite(boxes).all():
        raise ValueError("boxes have values that are not finite")
    pictures, guesses = classes.shape
    right = np.zeros((pictures, GUESSES), bool)
    right[:, :guesses] = classes == true_classes[:, None]
    located = np.zeros_like(right)
    for picture, guess in np.argwhere(right):
        located[picture, guess] = (iou(boxes[picture, guess], true_boxes[picture]) >= 0.5).any()
    return np.logical_or.accumulate(right, axis=1), np.logical_or.accumulate(located, axis=1)


def ilsvrc_errors(right, located, excluded=(), counts=None):
    """Errors of judged guesses.

    right, located  bool [n, 5], see `evaluate_guesses`
    excluded        indices, from 0, of the pictures that the kit leaves out of
                    the localization error: their boxes are not good enough
    counts          None, or [r, n]: how often each picture is in each of r samples
                    (`metrics.bootstrap`); the errors are then [r, 5]. They are 1 for a
                    sample of excluded pictures alone
    returns         IlsvrcErrors
    raises          ValueError when no picture is left, when shapes do not fit, when an
                    excluded picture is none of them, and for negative counts
    """
    right, located = truth_array(right, "right"), truth_array(located, "located")
    if right.ndim != 2 or right.shape != located.shape:
        raise ValueError(f"right and located must be [n, 5]; their shapes are {right.shape} and {located.shape}")
    excluded = whole_array(listed(excluded, "excluded"), "excluded")
    if excluded.ndim != 1 or not ((excluded >= 0) & (excluded < len(located))).all():
        raise ValueError(f"excluded must be indices from 0 to {len(located) - 1}; they are {shown(excluded.tolist())}")
    counted = np.ones(len(located))
    counted[excluded] = 0
    if not counted.any():
        raise ValueError("no picture is left to take an error of")
    every = np.ones(len(located)) if counts is None else _counts(counts, len(located))

    def error(correct, counts):
        return 1 - counts @ correct.astype(np.float64) / np.maximum(counts.sum(-1, keepdims=True), 1)

    return IlsvrcErrors(error(right, every), error(located, every * counted), error(located, every))


def _counts(counts, pictures):
    counts = real_array(counts, "counts").astype(np.float64, copy=False)
    if counts.ndim != 2 or counts.shape[1] != pictures:
        raise ValueError(f"counts must be [r, {pictures}]; their shape is {counts.shape}")
    if not (counts.min(initial=0) >= 0 and counts.max(initial=0) < np.inf):
        raise ValueError("counts must be finite and not negative")
    return counts
