"""What an evaluation writes: figures, pictures, curves, classes."""

import csv
import io
import json
import os

import numpy as np

from cam_base import replacing
from cam_evaluation.records import CURVES, write_records
from cam_evaluation.statistics import figures, hits_v2, per_class
from metrics.max_box_acc import MaxBoxAccV2
from metrics.pxap import area_under_curve

METRICS = "metrics.json"
# What not every evaluation writes.
OPTIONAL = "accuracy.csv", "precision.csv", "curves.png", "classes.csv"


def write_report(folder, records, about, class_names, with_classes=False):
    """Write metrics.json, pictures.csv, curves.npz and the curves; return the metrics.

    about         what metrics.json says besides its figures
    class_names   of the weights, for pictures.csv
    with_classes  also write classes.csv
    """
    os.makedirs(folder, exist_ok=True)
    metrics, curves = figures(records) | about, curves_of(records)
    if os.path.exists(os.path.join(folder, METRICS)) and os.path.exists(os.path.join(folder, CURVES)):
        for name in (METRICS, *OPTIONAL):  # of an earlier evaluation
            if os.path.exists(os.path.join(folder, name)):
                os.unlink(os.path.join(folder, name))
    write_records(folder, records, class_names)
    for name, (columns, rows) in curves.items():
        write_table(os.path.join(folder, f"{name}.csv"), columns, rows)
    if curves:
        draw_curves(os.path.join(folder, "curves.png"), curves)
    if with_classes:
        rows = per_class(records)
        write_table(os.path.join(folder, "classes.csv"), list(rows[0]), [list(row.values()) for row in rows])
    write_json(os.path.join(folder, METRICS), metrics)
    return metrics


def curves_of(records):
    """{"accuracy": (columns, rows over thresholds), "precision": (columns, rows)} of what was judged."""
    found = {}
    if records.hits is not None:
        names = ["threshold", "max_box_acc", *(f"max_box_acc_v2_at_{iou}" for iou in MaxBoxAccV2.IOUS)]
        found["accuracy"] = names, np.column_stack(
            [records.thresholds, records.hits.mean(0), *(hits.mean(0) for hits in hits_v2(records))])
    if records.masks is not None:
        _, precision, recall = area_under_curve(records.masks.sum(0, dtype=np.float64))
        found["precision"] = ["recall", "precision"], np.column_stack([recall, precision])
    return found


def draw_curves(path, curves):
    """The curves as one picture, a panel each."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, panels = pyplot.subplots(1, len(curves), figsize=(6 * len(curves), 4), squeeze=False)
    for panel, (name, (columns, rows)) in zip(panels[0], curves.items()):
        for number, column in enumerate(columns[1:], 1):
            panel.plot(rows[:, 0], rows[:, number], label=column)
        panel.set(xlabel=columns[0], ylabel=name, xlim=(0, 1), ylim=(0, 1))
        panel.grid(alpha=0.3)
        panel.legend()
    figure.tight_layout()
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=100)
    pyplot.close(figure)


def write_table(path, columns, rows):
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode(errors="surrogateescape"))


def write_json(path, value):
    with replacing(path) as file:
        # What of a file's name is not UTF-8 becomes \udcxx, which JSON can hold.
        file.write((json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))
