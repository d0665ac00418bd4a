"""ILSVRC classification and localization error, as the development kit's `eval_clsloc`."""

from typing import NamedTuple

import numpy as np

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


def judge_guesses(classes, boxes, true_classes, true_boxes):
    """Which pictures are right within their first guesses, and which are located.

    A guess is right when its class is the picture's; it locates when it also
    overlaps any true box of that class with IoU >= 0.5. The kit counts pixels
    of inclusive boxes: the same as half-open ones. A picture without a true box
    cannot be located (the kit stops at one unless it is excluded).

    classes       int [n, g], g <= 5, best guess first; 0: no guess
    boxes         [n, g, 4]: x0, y0, x1, y1 in pixels, half-open
    true_classes  int [n], from 1
    true_boxes    n arrays [m, 4], those of the true class, half-open
    returns       (right, located), bool [n, 5]: within the first guess, two, ... five
    raises        ValueError when the shapes do not fit
    """
    classes, boxes, true_classes = map(np.asarray, (classes, boxes, true_classes))
    pictures, guesses = classes.shape
    if not (guesses <= GUESSES and boxes.shape == (pictures, guesses, 4)
            and len(true_classes) == len(true_boxes) == pictures):
        raise ValueError(f"{classes.shape} classes and {boxes.shape} boxes were guessed for "
                         f"{len(true_classes)} true classes and {len(true_boxes)} sets of boxes")
    right = np.zeros((pictures, GUESSES), bool)
    right[:, :guesses] = classes == true_classes[:, None]
    located = np.zeros_like(right)
    for picture, guess in np.argwhere(right):
        true = np.reshape(true_boxes[picture], (-1, 4))
        located[picture, guess] = (iou(boxes[picture, guess], true) >= 0.5).any()
    return np.logical_or.accumulate(right, axis=1), np.logical_or.accumulate(located, axis=1)


def ilsvrc_errors(right, located, excluded=(), counts=None):
    """Errors of judged guesses.

    right, located  bool [n, 5], see `judge_guesses`
    excluded        indices, from 0, of the pictures that the kit leaves out of
                    the localization error: their boxes are not good enough
    counts          None, or [r, n]: how often each picture is in each of r samples
                    (`metrics.bootstrap`); the errors are then [r, 5]. They are 1 for a
                    sample of excluded pictures alone
    returns         IlsvrcErrors
    raises          ValueError when no picture is left
    """
    counted = np.ones(len(located))
    counted[list(excluded)] = 0
    if not counted.any():
        raise ValueError("no picture is left to take an error of")
    every = np.ones(len(located)) if counts is None else np.asarray(counts, np.float64)

    def error(correct, counts):
        return 1 - counts @ np.asarray(correct, np.float64) / np.maximum(counts.sum(-1, keepdims=True), 1)

    return IlsvrcErrors(error(right, every), error(located, every * counted), error(located, every))
