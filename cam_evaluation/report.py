"""What an evaluation writes: figures, pictures, curves, classes."""

import csv
import io
import json
import os
import re

import numpy as np

from cam_base import replacing
from metrics import METRICS
from .records import CURVES, write_records
from .statistics import evaluated_metrics, figures, per_class

METRICS_FILE = "metrics.json"
# What not every evaluation writes.
OPTIONAL = "curves.png", "classes.csv", "maps.npz", "report.html"
DRAWN = re.compile(r"\d+-.*\.jpg")  # by --overlays
# Folders that evaluations fill, and how they call their files: the pictures of --overlays, and of report.html.
FILLED = {"worst": DRAWN, "best": DRAWN, "report-pictures": re.compile(r"\d{6,}\.jpg")}


def write_report(folder, records, about, class_names, with_classes=False, more_curves=None):
    """Write metrics.json, pictures.csv, curves.npz and the curves; return the metrics.

    about         what metrics.json says besides its figures
    class_names   of the weights, for pictures.csv
    with_classes  also write classes.csv
    more_curves   {panel: (columns, rows)} that curves.png shows before those of the evaluation
    """
    os.makedirs(folder, exist_ok=True)
    metrics, curves = figures(records) | about, curves_of(records)
    if os.path.exists(os.path.join(folder, METRICS_FILE)) and os.path.exists(os.path.join(folder, CURVES)):
        for name in (METRICS_FILE, *OPTIONAL, *(f"{metric.curve_file}.csv" for metric in METRICS if metric.curve_file)):  # of an earlier evaluation
            if os.path.exists(os.path.join(folder, name)):
                os.unlink(os.path.join(folder, name))
        for name, pattern in FILLED.items():
            remove_matching(os.path.join(folder, name), pattern)
    write_records(folder, records, class_names)
    for name, (columns, rows) in curves.items():
        write_table(os.path.join(folder, f"{name}.csv"), columns, rows)
    if curves or more_curves:
        draw_curves(os.path.join(folder, "curves.png"), (more_curves or {}) | curves)
    if with_classes:
        rows = per_class(records)
        write_table(os.path.join(folder, "classes.csv"), list(rows[0]), [list(row.values()) for row in rows])
    write_json(os.path.join(folder, METRICS_FILE), metrics)
    return metrics


def remove_matching(folder, pattern):
    """Delete the files of a folder, if there is one, whose whole name has the pattern."""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if pattern.fullmatch(name):
            os.unlink(os.path.join(folder, name))


def curves_of(records):
    """{file: (columns, rows)} of what was judged; metrics that share a file share its first column."""
    found = {}
    for metric, arrays in evaluated_metrics(records):
        if metric.curve_file:
            (axis, positions), columns = metric.curve(arrays, records.thresholds)
            names, values = found.setdefault(metric.curve_file, ([axis], [positions]))
            names += columns
            values += columns.values()
    return {file: (names, np.column_stack(values)) for file, (names, values) in found.items()}


def draw_curves(path, curves):
    """The curves as one picture, a panel each."""
    # Not pyplot: it would change the backend of a notebook that calls this.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6 * len(curves), 4))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), squeeze=False)
    for panel, (name, (columns, rows)) in zip(panels[0], curves.items()):
        for number, column in enumerate(columns[1:], 1):
            panel.plot(rows[:, 0], rows[:, number], label=column, marker="." if len(rows) < 100 else None)
        panel.set(xlabel=columns[0], ylabel=name)
        if not ((rows[:, 1:] < 0) | (rows[:, 1:] > 1)).any():
            panel.set_ylim(0, 1)
        if columns[0] == "epoch":
            panel.xaxis.get_major_locator().set_params(integer=True)
        else:
            panel.set_xlim(0, 1)
        panel.grid(alpha=0.3)
        panel.legend()
    figure.tight_layout()
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=100)


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
