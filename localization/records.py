"""What an evaluation knows of each picture, and the two files that keep it."""

import csv
import io
import os
import zipfile
from dataclasses import dataclass

import numpy as np

from weights import InputError, replacing

CSV, CURVES = "pictures.csv", "curves.npz"
# Uncompressed bytes that are read of an evaluation's curves: 100,000 pictures at 2,000 thresholds.
LARGEST = 1 << 28


@dataclass(frozen=True)
class Records:
    """One row for each picture; n pictures, g guesses, t thresholds.

    ids        names of the pictures, by which evaluations are compared
    truth      n names of the true classes
    rank       int [n]: place of the true class among all, 1 for the first guess
    guesses    int [n, g]: classes of the weights, most probable first
    guess_iou  float [n, g]: IoU of each guess's box and the true box it fits best
    known_iou  float [n]: the same for the true class's box, "GT-known"
    hits       bool [n, t]: MaxBoxAcc's, at `thresholds`
    reached    uint8 [n, t]: how many of MaxBoxAccV2's three IoUs are reached
    masks      uint32 [n, 2, t + 1]: PxAP's histograms
    baseline   bool [n, 400]: the centred boxes that are right
    excluded   bool [n]: left out of ILSVRC's localization error

    What there are no guesses, boxes or masks for is None.
    """

    ids: list
    truth: list
    rank: np.ndarray | None
    guesses: np.ndarray | None
    thresholds: np.ndarray
    guess_iou: np.ndarray | None = None
    known_iou: np.ndarray | None = None
    hits: np.ndarray | None = None
    reached: np.ndarray | None = None
    masks: np.ndarray | None = None
    baseline: np.ndarray | None = None
    excluded: np.ndarray | None = None

    def __len__(self):
        return len(self.ids)


ARRAYS = ("rank", "guesses", "thresholds", "guess_iou", "known_iou", "hits", "reached", "masks",
          "baseline", "excluded")


def write_records(folder, records, names):
    """pictures.csv for people and scripts, curves.npz for `--compare`.

    names: of the weights' classes, for the guesses
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = {"id": records.ids, "true_class": records.truth}
    if records.rank is not None:
        columns["rank"] = records.rank
    if records.known_iou is not None:
        columns["gt_known_iou"] = [f"{iou:.4f}" for iou in records.known_iou]
    for k in range(0 if records.guesses is None else records.guesses.shape[1]):
        columns[f"guess_{k + 1}"] = [names[guess] for guess in records.guesses[:, k]]
        if records.guess_iou is not None:
            columns[f"guess_{k + 1}_iou"] = [f"{iou:.4f}" for iou in records.guess_iou[:, k]]
    table.writerow(columns)
    table.writerows(zip(*columns.values()))
    with replacing(os.path.join(folder, CSV)) as file:
        file.write(text.getvalue().encode())
    arrays = {name: getattr(records, name) for name in ARRAYS if getattr(records, name) is not None}
    with replacing(os.path.join(folder, CURVES)) as file:
        np.savez_compressed(file, **arrays)


def read_records(folder):
    """The Records of an evaluation's folder. Raises InputError for one that has none, or damaged ones."""
    try:
        with open(os.path.join(folder, CSV), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        path = os.path.join(folder, CURVES)
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise InputError(f"{path}: larger than an evaluation's curves are")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ARRAYS if name in file}
        arrays = {"rank": None, "guesses": None} | arrays
        records = Records([row["id"] for row in rows], [row["true_class"] for row in rows], **arrays)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}: {os.path.basename(error.filename or '')}; "
                         "localize.py --data writes it") from None
    except InputError:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds for damaged files
        raise InputError(f"{folder}: its {CSV} or {CURVES} is damaged ({type(error).__name__})") from None
    if any(len(array) != len(rows) for name, array in arrays.items()
           if name != "thresholds" and array is not None):
        raise InputError(f"{folder}: {CSV} and {CURVES} are not of one evaluation")
    return records
