"""Which differences between two evaluations of the same pictures are beyond chance."""

import json
import os

import numpy as np

from cam_base import InputError, open_regular
from cam_base.terminal import say
from metrics.intervals import compare
from .records import read_records
from .report import METRICS_FILE
from .statistics import statistics

LARGEST_FILE = 1 << 20  # bytes of a metrics.json


def other_settings(first, second):
    """{setting: (in first, in second)} of what the two metrics.json say differently besides the figures; {} where one is not there."""
    about = [settings_of(folder) for folder in (first, second)]
    if None in about:
        return {}
    return {name: tuple(held.get(name) for held in about) for name in about[0] | about[1]
            if about[0].get(name) != about[1].get(name)}


def _excluded(records):
    return np.zeros(len(records), bool) if records.excluded is None else records.excluded


def settings_of(folder):
    """What metrics.json says besides its figures and what follows from them; None where it is not there."""
    try:
        with open_regular(os.path.join(folder, METRICS_FILE), LARGEST_FILE) as file:
            held = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(held, dict):
        return None
    return {name: value for name, value in held.items() if f"{name}_interval" not in held
            and not name.endswith(("_interval", "_interval_by", "_threshold", "_thresholds"))}


def compare_folders(first, second):
    """{figure: (value in first, value in second, Difference first - second)}, of pairs (`metrics.intervals.compare`).

    Where a figure takes the best threshold, each sample takes its own. Raises
    InputError when the folders are not evaluations of the same pictures.
    """
    a, b = read_records(first), read_records(second)
    place = {picture: row for row, picture in enumerate(b.ids)}
    if len(place) != len(b) or sorted(a.ids) != sorted(b.ids):
        only = sorted(set(a.ids) ^ set(b.ids))
        raise InputError(f"{first} and {second} judge different pictures"
                         + (f": {len(only)} are in one only, such as {only[0]}" if only else ""))
    b = b.rows([place[picture] for picture in a.ids])
    ours, theirs = statistics(a), statistics(b)
    if not np.array_equal(_excluded(a), _excluded(b)):
        say("The two leave different pictures out of the localization errors, which are compared over all pictures only")
        ours = {name: statistic for name, statistic in ours.items() if not name.endswith("_localization_error")}
    everyone = np.ones((1, len(a)), np.float32)
    return {name: (float(ours[name](everyone)[0]), float(theirs[name](everyone)[0]),
                   compare(ours[name], theirs[name], len(a), numbers=a.picture))
            for name in ours if name in theirs}
