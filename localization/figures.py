"""metrics.json's figures, and how sure they are, from what is known of each picture.

Each figure is a statistic of `ops.bootstrap`: a function of how often each
picture counts. On the pictures as they are it gives the value, on resampled
ones the interval. docs/evaluation.md defines them.
"""

import numpy as np

from ops.bootstrap import best_accuracy_of, bootstrap, interval, mean_of, pxap_of
from ops.max_box_acc import MaxBoxAccV2, best_threshold

IOU = 0.5  # with a true box, for a box to be right (ILSVRC)


def statistics(records):
    """{name of a figure: statistic}; all are fractions."""
    found = {}
    if records.rank is not None:
        found["top1_classification_error"] = mean_of(records.rank > 1)
        found["top5_classification_error"] = mean_of(records.rank > records.guesses.shape[1])
        if records.known_iou is not None:
            located = _located(records)
            for suffix, kept in _exclusions(records):
                found[f"top1_localization_error{suffix}"] = _share(~located[:, 0], kept)
                found[f"top5_localization_error{suffix}"] = _share(~located.any(1), kept)
    if records.known_iou is not None:
        found["gt_known_localization"] = mean_of(records.known_iou >= IOU)
        found["centre_box_baseline"] = best_accuracy_of(records.baseline)
        found["max_box_acc"] = best_accuracy_of(records.hits)
        found["max_box_acc_v2"] = best_accuracy_of(hits_v2(records))
    if records.masks is not None:
        found["pxap"] = pxap_of(records.masks.swapaxes(0, 1))
    return found


def _located(records):
    """bool [n, g]: the guess has the right class, and its box is right."""
    place = np.arange(1, records.guesses.shape[1] + 1)
    return (records.rank[:, None] == place) & (records.guess_iou >= IOU)


def _exclusions(records):
    """The kit's figure leaves pictures out; the one over all is given beside it."""
    if records.excluded is None:
        return [("", None)]
    return [("", ~records.excluded), ("_of_all", None)]


def _share(values, kept):
    """Statistic: the share of the kept pictures for which `values` is true."""
    if kept is None:
        return mean_of(values)
    values, kept = (values & kept).astype(np.float64), kept.astype(np.float64)
    return lambda counts: counts @ values / np.maximum(counts @ kept, 1)


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
        found["max_box_acc_threshold"] = best_threshold(records.hits, records.thresholds).threshold
        found["max_box_acc_v2_thresholds"] = [
            best_threshold(hits, records.thresholds).threshold for hits in hits_v2(records)]
    return found


def per_class(records):
    """Rows of classes.csv, worst first: class, pictures, classification and localization accuracy, mean IoU."""
    truth = np.array(records.truth)
    rows = []
    for name in dict.fromkeys(records.truth):
        members = truth == name
        row = {"class": name, "pictures": int(members.sum())}
        if records.rank is not None:
            row["classification_accuracy"] = float((records.rank[members] == 1).mean())
        if records.known_iou is not None:
            row |= {"localization_accuracy": float((records.known_iou[members] >= IOU).mean()),
                    "mean_iou": float(records.known_iou[members].mean())}
        rows.append(row)
    worst = "localization_accuracy" if records.known_iou is not None else "classification_accuracy"
    return sorted(rows, key=lambda row: row[worst])
