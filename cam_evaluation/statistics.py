"""metrics.json's figures, and how sure they are, from what is known of each picture.

Each figure is a statistic of `metrics.bootstrap`: a function of how often each
picture counts. On the pictures as they are it gives the value, on resampled
ones, or by `metrics.intervals` where they are few, the interval. docs/evaluation.md defines them.
"""

import numpy as np

from metrics import METRICS
from metrics.bootstrap import Statistic, best_accuracy_of, mean_of
from metrics.ilsvrc import GUESSES, ilsvrc_errors
from metrics.intervals import interval_of

IOU = 0.5  # with a true box, for a box to be right (ILSVRC)


def statistics(records):
    """{name of a figure: statistic}; all are fractions."""
    found = _ilsvrc(records) if records.right is not None else {}
    if records.known_iou is not None:
        found["gt_known_localization"] = mean_of(records.known_iou >= IOU)
        found["gt_known_mean_iou"] = mean_of(records.known_iou)
        found["centre_box_baseline"] = best_accuracy_of(records.baseline)
    return found | {metric.name: metric.statistic(arrays) for metric, arrays in evaluated_metrics(records)}


def is_error(figure):
    """Whether a figure is an error, better where it is smaller: its name says so. All others are accuracies."""
    return "_error" in figure


def evaluated_metrics(records):
    """(metric, its arrays) of each metric that was evaluated."""
    return [(metric, records.of(metric)) for metric in METRICS if records.of(metric)]


def _ilsvrc(records):
    """ILSVRC's errors of one guess and, of more classes than that, of five; without boxes, those of classification."""
    located = np.zeros_like(records.right) if records.located is None else records.located
    kept = np.ones(len(records), bool) if records.excluded is None else ~records.excluded

    def error(kind, guesses):
        wrong = ~(records.right if kind == "classification" else located)[:, guesses - 1]
        return Statistic(lambda counts: getattr(ilsvrc_errors(
            records.right, located, np.flatnonzero(~kept) if kept.any() else (), counts), kind)[:, guesses - 1],
            len(records), "right", np.where(kept | (kind != "localization"), wrong, np.nan))

    names = {"classification": "classification_error"}
    if records.located is not None and kept.any():
        names["localization"] = "localization_error"
    if records.located is not None and records.excluded is not None:
        # The kit's figure leaves pictures out; the one over all is given beside it.
        names["localization_of_all"] = "localization_error_of_all"
    return {f"top{guesses}_{name}": error(kind, guesses) for kind, name in names.items()
            for guesses in ((1,) if records.classes is not None and records.classes <= GUESSES else (1, GUESSES))}


def figures(records):
    """metrics.json's numbers: each figure, its interval and what that is by, and the thresholds that were chosen."""
    found = {"pictures": len(records)}
    everyone = np.ones((1, len(records)), np.float32)
    for name, statistic in statistics(records).items():
        found[name] = float(statistic(everyone)[0])
        *found[f"{name}_interval"], found[f"{name}_interval_by"] = interval_of(statistic, len(records), numbers=records.picture)
    for metric, arrays in evaluated_metrics(records):
        found |= metric.details(arrays, records.thresholds)
    return found


def per_class(records):
    """Rows of classes.csv, worst first: class, pictures, classification and localization accuracy, mean IoU.

    The last two are of the true class's box. Where only guesses are known, they are of the first
    one: whether class and box are right, and the IoU of its box whatever its class.
    """
    truth = np.array(records.truth)
    located, iou = (None, None) if records.located is None else (records.located[:, 0], records.guess_iou[:, 0])
    if records.known_iou is not None:
        located, iou = records.known_iou >= IOU, records.known_iou
    rows = []
    for name in dict.fromkeys(records.truth):
        members = truth == name
        row = {"class": name, "pictures": int(members.sum())}
        if records.right is not None:
            row["classification_accuracy"] = float(records.right[members, 0].mean())
        if iou is not None:
            row |= {"localization_accuracy": float(located[members].mean()), "mean_iou": float(iou[members].mean())}
        rows.append(row)
    worst = next((key for key in ("localization_accuracy", "classification_accuracy") if key in rows[0]), None)
    return sorted(rows, key=lambda row: row[worst]) if worst else rows
