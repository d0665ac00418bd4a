"""Picture sets on disk, recognised by looking: Tiny ImageNet's layout, and a folder for each class."""

import os
import re
import zlib

import numpy as np

from data.picture_set import PictureSet
from weights import Category, InputError

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
SPLITS = ("train", "val")
WNID = re.compile(r"n\d{8}")
# Of ten files of an undivided folder, one is for validation.
HOLD_OUT = 10


def open_folder(root, split):
    """The `split` ("train" or "val") of the data set in folder `root`, as a PictureSet.

    Known layouts: Tiny ImageNet's (wnids.txt, train/<wnid>/images, val/images);
    train/<class>/* with val/<class>/* or test/<class>/*; and <class>/* alone,
    of which a tenth of the files, by a checksum of their names, are "val".
    Raises InputError for any other, saying what was looked for.
    """
    if split not in SPLITS:
        raise InputError(f"no split is called {split!r}; there are {' and '.join(SPLITS)}")
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder")
    name = f"{os.path.basename(os.path.abspath(root))}/{split}"
    if os.path.isfile(os.path.join(root, "wnids.txt")):
        return _tiny_imagenet(root, split, name)
    folders = {"train": ("train",), "val": ("val", "test")}
    if any(os.path.isdir(os.path.join(root, folder)) for folder in folders["train"] + folders["val"]):
        for folder in folders[split]:
            if os.path.isdir(os.path.join(root, folder)):
                return _class_folders(root, os.path.join(root, folder), name)
        raise InputError(f"{root} has no folder {' or '.join(folders[split])} for its split {split!r}")
    return _undivided(root, split, name)


def is_picture(name):
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def _tiny_imagenet(root, split, name):
    wnids = _lines(os.path.join(root, "wnids.txt"))
    number = {wnid: label for label, wnid in enumerate(wnids)}
    rows = []
    if split == "train":
        for wnid in wnids:
            folder = os.path.join(root, "train", wnid)
            for file, *box in _table(os.path.join(folder, f"{wnid}_boxes.txt"), 5):
                rows.append((os.path.join(folder, "images", file), number[wnid], box))
    else:
        for file, wnid, *box in _table(os.path.join(root, "val", "val_annotations.txt"), 6):
            if wnid in number:
                rows.append((os.path.join(root, "val", "images", file), number[wnid], box))
    if not rows:
        raise InputError(f"{root} lists no picture for its split {split!r}")
    files, labels, boxes = zip(*rows)
    # The files give inclusive pixels; ours are half-open.
    boxes = [np.array([box], np.int32) + np.array([0, 0, 1, 1], np.int32) for box in boxes]
    return PictureSet(name, _categories(root, wnids), np.array(labels, np.int32), list(files), boxes)


def _table(path, columns):
    """Rows of a tab-separated file: strings, and the last four columns as whole numbers."""
    for number, line in enumerate(_lines(path), 1):
        cells = line.split("\t")
        if len(cells) != columns or not all(re.fullmatch(r"\d{1,6}", cell) for cell in cells[-4:]):
            raise InputError(f"{path}, line {number}: not {columns} columns that end in x0, y0, x1, y1")
        if os.path.basename(cells[0]) != cells[0]:
            raise InputError(f"{path}, line {number}: {cells[0]!r} is not a plain file name")
        yield *cells[:-4], *map(int, cells[-4:])


def _lines(path):
    try:
        with open(path, encoding="utf-8") as file:
            return [line.rstrip("\r\n") for line in file if line.strip()]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (Tiny ImageNet's layout has it)") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None


def _categories(root, names):
    """Categories of folder names: wnids get their words from words.txt, or the name where there is none."""
    if not all(WNID.fullmatch(name) for name in names):
        return [Category(None, name) for name in names]
    words = {}
    if os.path.isfile(os.path.join(root, "words.txt")):
        words = dict(line.split("\t", 1) for line in _lines(os.path.join(root, "words.txt"))
                     if "\t" in line)
    return [Category(name, words.get(name, name)) for name in names]


def _class_folders(root, folder, name, keep=lambda path: True):
    classes = sorted(entry.name for entry in os.scandir(folder)
                     if entry.is_dir() and not entry.name.startswith("."))
    files, labels = [], []
    for label, category in enumerate(classes):
        for path, _, names in sorted(os.walk(os.path.join(folder, category))):
            kept = [os.path.join(path, file) for file in sorted(names) if is_picture(file)]
            kept = [file for file in kept if keep(os.path.relpath(file, folder))]
            files += kept
            labels += [label] * len(kept)
    if not files:
        raise InputError(
            f"{root} has no known layout: looked for wnids.txt (Tiny ImageNet), for train/ and val/ "
            f"with a folder for each class, and for folders of pictures ({', '.join(ENDINGS)})")
    return PictureSet(name, _categories(root, classes), np.array(labels, np.int32), files)


def _undivided(root, split, name):
    def keep(path):
        held_out = zlib.crc32(path.encode()) % HOLD_OUT == 0
        return held_out == (split == "val")
    return _class_folders(root, root, name, keep)
