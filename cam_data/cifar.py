"""CIFAR-10 and CIFAR-100 in their binary form (Krizhevsky, 2009), memory-mapped: https://www.cs.toronto.edu/~kriz/cifar.html

A row is its labels, one byte each (CIFAR-100: coarse, then fine), and 3 x 32 x 32 bytes: planes R, G, B.
"""

import os
from typing import NamedTuple

import numpy as np

from cam_base import Category, InputError, open_regular
from cam_base.terminal import counted
from .picture_set import MissingSplit, PictureSet

SIDE = 32
PIXELS = 3 * SIDE * SIDE
LARGEST_NAMES = 1 << 20  # bytes


class Kind(NamedTuple):
    """One of the two sets: its name, the file of its classes' names, its files, the bytes of labels in a row; the last one counts."""

    name: str
    names: str
    classes: int
    files: dict
    label_bytes: int


KINDS = (Kind("CIFAR-10", "batches.meta.txt", 10, {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "val": ["test_batch.bin"]}, 1),
         Kind("CIFAR-100", "fine_label_names.txt", 100, {"train": ["train.bin"], "val": ["test.bin"]}, 2))
WRAPPED = ("", "cifar-10-batches-bin", "cifar-100-binary")
PICKLED = {"cifar-10-batches-py": "data_batch_1", "cifar-100-python": "train"}


def find_cifar(root):
    """(Kind, folder) of a binary set in folder `root` or in the one it is unpacked to; None for none.

    Raises InputError for the form that is pickled.
    """
    for folder in (os.path.join(root, name) for name in WRAPPED):
        for kind in KINDS:
            if os.path.isfile(os.path.join(folder, kind.names)):
                return kind, folder
    for name, file in PICKLED.items():
        for folder, meta in ((root, "batches.meta" if "10-" in name else "meta"), (os.path.join(root, name), file)):
            if os.path.isfile(os.path.join(folder, meta)) and os.path.isfile(os.path.join(folder, file)):
                raise InputError(f"{folder}: is CIFAR's version for Python, whose pickles would run what they say and are not read; "
                                 "take the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz)")
    return None


def open_cifar(root, split, found):
    """The `split` ("train" or "val") as a PictureSet of pictures held in memory; InputError for files that are not whole."""
    kind, folder = found
    categories = [Category(None, name) for name in _names(os.path.join(folder, kind.names), kind.classes)]
    if not any(os.path.exists(os.path.join(folder, file)) for file in kind.files[split]):
        raise MissingSplit(f"{folder}: has no {' nor '.join(kind.files[split])} for the split {split!r}")
    parts = [_rows(os.path.join(folder, file), kind) for file in kind.files[split]]
    labels = np.concatenate([part[:, kind.label_bytes - 1] for part in parts]).astype(np.int32)
    starts = np.cumsum([0] + [len(part) for part in parts])
    ids = [f"{file}/{row}" for file, part in zip(kind.files[split], parts) for row in range(len(part))]

    def picture(row, epoch):
        part = np.searchsorted(starts, row, side="right") - 1
        planes = parts[part][row - starts[part], kind.label_bytes:]
        return np.ascontiguousarray(planes.reshape(3, SIDE, SIDE).transpose(1, 2, 0))

    return PictureSet(f"{kind.name}/{split}", categories, labels, [os.path.join(folder, name) for name in ids], draw=picture, held=True,
                      ids=ids, sizes=np.full((len(ids), 2), SIDE))


def _names(path, count):
    with open_regular(path, LARGEST_NAMES) as file:
        try:
            names = file.read().decode().split()
        except UnicodeDecodeError:
            raise InputError(f"{path} is not a text file in UTF-8") from None
    if len(names) != count or len(set(names)) != count:
        raise InputError(f"{path}: names {counted(len(set(names)), 'class')}, not {count}")
    return names


def _rows(path, kind):
    """uint8 [rows, label bytes + 3072], in the file."""
    size = kind.label_bytes + PIXELS
    try:
        with open_regular(path) as file:
            found = os.fstat(file.fileno()).st_size
            if not found or found % size:
                raise InputError(f"{path}: has {found:,} bytes, which are not rows of {size:,}; is it whole?")
            rows = np.memmap(file, np.uint8, "r", shape=(found // size, size))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is the data set complete?") from None
    highest = rows[:, kind.label_bytes - 1].max()
    if highest >= kind.classes:
        raise InputError(f"{path}: has the label {highest}; {kind.name} has classes from 0 to {kind.classes - 1}")
    return rows
