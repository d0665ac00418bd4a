"""metrics.json's figures, and how sure they are, from what is known of each picture.

Each figure is a statistic of `metrics.bootstrap`: a function of how often each
picture counts. On the pictures as they are it gives the value, on resampled
ones the interval. docs/evaluation.md defines them.
"""

import numpy as np

from metrics.bootstrap import best_accuracy_of, bootstrap, interval, mean_of, pxap_of
from metrics.ilsvrc import ilsvrc_errors
from metrics.max_box_acc import MaxBoxAccV2, best_threshold

IOU = 0.5  # with a true box, for a box to be right (ILSVRC)


def statistics(records):
    """{name of a figure: statistic}; all are fractions."""
    found = _ilsvrc(records) if records.right is not None else {}
    if records.known_iou is not None:
        found["gt_known_localization"] = mean_of(records.known_iou >= IOU)
        found["centre_box_baseline"] = best_accuracy_of(records.baseline)
        found["max_box_acc"] = best_accuracy_of(records.hits)
        found["max_box_acc_v2"] = best_accuracy_of(hits_v2(records))
    if records.masks is not None:
        found["pxap"] = _pxap(records.masks)
    return found


def _ilsvrc(records):
    """ILSVRC's errors of one guess and of five; without boxes, those of classification."""
    located = np.zeros_like(records.right) if records.located is None else records.located
    kept = np.ones(len(records), bool) if records.excluded is None else ~records.excluded

    def error(kind, guesses):
        return lambda counts: getattr(ilsvrc_errors(
            records.right, located, np.flatnonzero(~kept) if kept.any() else (), counts), kind)[:, guesses - 1]

    names = {"classification": "classification_error"}
    if records.located is not None and kept.any():
        names["localization"] = "localization_error"
    if records.located is not None and records.excluded is not None:
        # The kit's figure leaves pictures out; the one over all is given beside it.
        names["localization_of_all"] = "localization_error_of_all"
    return {f"top{guesses}_{name}": error(kind, guesses) for kind, name in names.items() for guesses in (1, 5)}


def _pxap(masks):
    """PxAP; 0 for a sample in which no pixel is of an object."""
    statistic, has_object = pxap_of(masks.swapaxes(0, 1)), masks[:, 1].any(1)

    def of(counts):
        values, judged = np.zeros(len(counts)), counts @ has_object > 0
        values[judged] = statistic(counts[judged])
        return values

    return of


def hits_v2(records):
    """bool [3, n, t]: whether each picture reaches MaxBoxAccV2's IoUs."""
    return records.reached > np.arange(len(MaxBoxAccV2.IOUS))[:, None, None]


def figures(records):
    """metrics.json's numbers: each figure, its interval, and the thresholds that were chosen."""
    found = {"pictures": len(records)}
    everyone = np.ones((1, len(records)), np.float32)
    for name, statistic in statistics(records).items():
        found[name] = float(statistic(everyone)[0])
        found[f"{name}_interval"] = list(interval(bootstrap(statistic, len(records))))
    if records.hits is not None:
        first, *others = [round(best_threshold(hits, records.thresholds).threshold, 6)
                          for hits in (records.hits, *hits_v2(records))]
        found |= {"max_box_acc_threshold": first, "max_box_acc_v2_thresholds": others}
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
