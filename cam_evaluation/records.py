"""What an evaluation knows of each picture, and the two files that keep it."""

import csv
import io
import os
import zipfile
from dataclasses import dataclass, field, replace

import numpy as np

from cam_base import InputError, open_regular, replacing
from metrics import METRICS, MaxBoxAcc, MaxBoxAccV2

CSV, CURVES = "pictures.csv", "curves.npz"
# Uncompressed bytes that are read of an evaluation's curves: those of its pictures, with their histograms, at 2,000 thresholds.
LARGEST, OF_PICTURE, LARGEST_OF_ALL = 1 << 28, 1 << 15, 1 << 33


@dataclass(frozen=True)
class Records:
    """One row for each picture; n pictures, g guesses, t thresholds.

    ids          names of the pictures, by which evaluations are compared
    truth        n names of the true classes
    thresholds   float [t]
    rank         int [n]: place of the true class among all, 1 for the first guess
    guesses      int [n, g]: classes of the weights, most probable first; -1: none
    right        bool [n, 5]: the true class is among the first one, two, ... five guesses
    guess_boxes  [n, g, 4]: x0, y0, x1, y1 in pixels of the picture, half-open
    guess_iou    float [n, g]: IoU of each guess's box and the true box it fits best
    located      bool [n, 5]: one of the first guesses has the true class and a box that fits
    known_iou    float [n]: IoU of the true class's box, "GT-known"
    baseline     bool [n, 400]: the centred boxes that are right
    excluded     bool [n]: left out of ILSVRC's localization error
    picture      int [n]: which picture each row is of, from 0; None where each is of its own
    classes      int []: of how many classes the guesses are
    metric_arrays  {array: [n, ...]} of each metric in `metrics.METRICS` that was evaluated, as its `shapes` say

    What there are no guesses or boxes for is None.
    """

    ids: list
    truth: list
    thresholds: np.ndarray
    rank: np.ndarray | None = None
    guesses: np.ndarray | None = None
    right: np.ndarray | None = None
    guess_boxes: np.ndarray | None = None
    guess_iou: np.ndarray | None = None
    located: np.ndarray | None = None
    known_iou: np.ndarray | None = None
    baseline: np.ndarray | None = None
    excluded: np.ndarray | None = None
    picture: np.ndarray | None = None
    classes: np.ndarray | None = None
    metric_arrays: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.ids)

    def rows(self, rows):
        """The records of these pictures, in this order."""
        # Numbers go on from 0, whichever pictures are left.
        picture = None if self.picture is None else np.unique(self.picture[rows], return_inverse=True)[1]
        picked = {name: [getattr(self, name)[row] for row in rows] for name in ("ids", "truth")}
        of_each = {name: array[rows] for name, array in self.arrays().items() if name not in (*OF_ALL, "picture", *self.metric_arrays)}
        return replace(self, **picked, **of_each, picture=picture, metric_arrays={name: array[rows] for name, array in self.metric_arrays.items()})

    def joined(self, other):
        """The records of these pictures and, behind them, of others that were evaluated in the same way."""
        mine, theirs = self.arrays(), other.arrays()
        numbers = [np.arange(len(one)) if one.picture is None else one.picture for one in (self, other)]
        both = {name: np.concatenate([mine[name], theirs[name]]) for name in mine if name not in (*OF_ALL, "picture")}
        if self.picture is not None or other.picture is not None:
            both["picture"] = np.concatenate([numbers[0], numbers[1] + numbers[0].max() + 1])
        metric_arrays = {name: both.pop(name) for name in self.metric_arrays}
        return replace(self, ids=self.ids + other.ids, truth=self.truth + other.truth, metric_arrays=metric_arrays, **both)

    def arrays(self):
        """{name: array} of all that there is."""
        return {name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None} | self.metric_arrays

    def of(self, metric):
        """The arrays of a metric, or None where it was not metric_arrays."""
        return {name: self.metric_arrays[name] for name in metric.shapes} if set(metric.shapes) <= set(self.metric_arrays) else None


# Kinds of NumPy dtypes, and shapes, in which the same letter is the same number everywhere.
ARRAYS = {"thresholds": ("f", ("t",)), "rank": ("iu", ("n",)), "guesses": ("i", ("n", "g")), "right": ("b", ("n", 5)),
          "guess_boxes": ("iuf", ("n", "g", 4)), "guess_iou": ("f", ("n", "g")), "located": ("b", ("n", 5)),
          "known_iou": ("f", ("n",)), "baseline": ("b", ("n", 400)), "excluded": ("b", ("n",)), "picture": ("iu", ("n",)), "classes": ("iu", ())}
OF_ALL = "thresholds", "classes"  # of all pictures together
# What is only there together.
TOGETHER = ({"guesses", "right"}, {"guess_boxes", "guess_iou", "located"}, {"baseline", "known_iou"})


def known_arrays():
    """ARRAYS, and those of all metrics."""
    return ARRAYS | {name: shape for metric in METRICS for name, shape in metric.shapes.items()}


def write_records(folder, records, names):
    """pictures.csv for people and scripts, curves.npz for `--compare`.

    names: of the classes that `guesses` are numbers of
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = {"id": records.ids, "true_class": records.truth}
    if records.rank is not None:
        columns["rank"] = records.rank
    if records.known_iou is not None:
        columns["gt_known_iou"] = [f"{iou:.4f}" for iou in records.known_iou]
    for k in range(0 if records.guesses is None else records.guesses.shape[1]):
        columns[f"guess_{k + 1}"] = [names[guess] if guess >= 0 else "" for guess in records.guesses[:, k]]
        if records.guess_iou is not None:
            columns[f"guess_{k + 1}_iou"] = [f"{iou:.4f}" for iou in records.guess_iou[:, k]]
    if records.excluded is not None:
        columns["excluded"] = records.excluded.astype(int)
    table.writerow(columns)
    table.writerows(zip(*columns.values()))
    with replacing(os.path.join(folder, CSV)) as file:
        file.write(text.getvalue().encode(errors="surrogateescape"))  # names of files need not be UTF-8
    with replacing(os.path.join(folder, CURVES)) as file:
        np.savez_compressed(file, **records.arrays())


def read_records(folder):
    """The Records of an evaluation's folder. Raises InputError for one that has none, or damaged ones."""
    try:
        with open_regular(os.path.join(folder, CSV), LARGEST) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
            rows = list(csv.DictReader(text))
        path = os.path.join(folder, CURVES)
        with open_regular(path, LARGEST_OF_ALL) as opened:
            with zipfile.ZipFile(opened) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > min(max(LARGEST, OF_PICTURE * len(rows)), LARGEST_OF_ALL):
                    raise InputError(f"{path}: larger than an evaluation's curves are")
            opened.seek(0)
            file = np.load(opened, allow_pickle=False)
            arrays = {name: file[name] for name in known_arrays() if name in file}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("what is no array")
        metric_arrays = {name: arrays.pop(name) for name in list(arrays) if name not in ARRAYS}
        records = Records([row["id"] for row in rows], [row["true_class"] for row in rows], metric_arrays=metric_arrays, **arrays)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}: {os.path.basename(error.filename or '')}; "
                         "evaluate.py --data writes it") from None
    except InputError:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds for damaged files
        raise InputError(f"{folder}: its {CSV} or {CURVES} is damaged ({type(error).__name__})") from None
    _check(folder, records)
    return records


def _check(folder, records):
    """Raise InputError unless all arrays are of the pictures and fit each other."""
    arrays = records.arrays()
    if not len(records) or any(id is None or name is None for id, name in zip(records.ids, records.truth)):
        raise InputError(f"{folder}: its {CSV} has no pictures, or a row is not complete")
    together = [*TOGETHER, *(set(metric.shapes) for metric in METRICS)]
    if records.known_iou is not None:
        # An evaluation by boxes has all of their metrics, but for those that came later.
        together.append({name for metric in (MaxBoxAcc, MaxBoxAccV2) for name in metric.shapes} | {"known_iou"})
    if any(0 < len(group & set(arrays)) < len(group) for group in together):
        raise InputError(f"{folder}: {CURVES} lacks a part")
    guesses = arrays["guesses"].shape[-1] if "guesses" in arrays and arrays["guesses"].ndim else 0
    sides = {"n": len(records), "g": guesses, "t": records.thresholds.size, "t + 1": records.thresholds.size + 1}
    for name, array in arrays.items():
        kinds, shape = known_arrays()[name]
        shape = tuple(sides.get(side, side) for side in shape)
        if array.shape != shape or array.dtype.kind not in kinds or not array.size:
            raise InputError(f"{folder}: {CSV} and {CURVES} are not of one evaluation: {name} is "
                             f"{array.dtype} {array.shape}, not {shape}")
    if not np.isfinite(arrays.get("known_iou", 0)).all():
        raise InputError(f"{folder}: {CURVES} is damaged: known_iou has values that are not finite")
    numbers = np.unique(arrays.get("picture", 0))
    if not np.array_equal(numbers, np.arange(len(numbers))):
        raise InputError(f"{folder}: {CURVES} is damaged: its pictures are not numbered from 0")
