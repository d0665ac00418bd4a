"""Picture sets on disk, recognised by looking: Tiny ImageNet's layout, and a folder for each class."""

import os
import re
import zlib

import numpy as np

from cam_base import Category, InputError
from cam_data.picture_set import PictureSet

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
SPLITS = ("train", "val")
# What people call the parts of a data set: as classes they would be labels that mean nothing.
PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}
WNID = re.compile(r"n\d{8}")
# Of ten files of an undivided folder, one is for validation.
HOLD_OUT = 10


def open_folder(root, split):
    """The `split` ("train" or "val") of the data set in folder `root`, as a PictureSet.

    Known layouts: Tiny ImageNet's (wnids.txt, train/<wnid>/images, val/images);
    train/<class>/* with val/<class>/* or test/<class>/*; and <class>/* alone,
    of which a tenth of the files, by a checksum of their names, are "val".
    Both splits have the same classes, though one may lack pictures of some.
    Raises InputError for any other, saying what was looked for.
    """
    if split not in SPLITS:
        raise InputError(f"no split is called {split!r}; there are {' and '.join(SPLITS)}")
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder")
    name = f"{os.path.basename(os.path.abspath(root))}/{split}"
    if os.path.isfile(os.path.join(root, "wnids.txt")):
        return _tiny_imagenet(root, split, name)
    if any(os.path.isdir(os.path.join(root, folder)) for folder in ("train", "val", "test")):
        return _divided(root, split, name)
    return _undivided(root, split, name)


def is_picture(name):
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def pictures_below(folder):
    """{path below the folder, without ending: path} of all its pictures; InputError when there are none."""
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder")
    found = {}
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(filter(is_picture, names)):
            file = os.path.join(path, name)
            found.setdefault(os.path.splitext(os.path.relpath(file, folder))[0], file)
    if not found:
        raise InputError(f"{folder}: no pictures in this folder")
    return found


def _tiny_imagenet(root, split, name):
    wnids = _names(os.path.join(root, "wnids.txt"))
    rows = []
    if split == "train":
        for label, wnid in enumerate(wnids):
            folder = os.path.join(root, "train", wnid)
            for file, *box in _table(os.path.join(folder, f"{wnid}_boxes.txt"), 5):
                rows.append((os.path.join(folder, "images", file), label, box))
    else:
        number = {wnid: label for label, wnid in enumerate(wnids)}
        for file, wnid, *box in _table(os.path.join(root, "val", "val_annotations.txt"), 6):
            if wnid in number:
                rows.append((os.path.join(root, "val", "images", file), number[wnid], box))
    if not rows:
        raise InputError(f"{root} lists no picture for its split {split!r}")
    files, labels, boxes = zip(*rows)
    # The files give inclusive pixels; ours are half-open.
    boxes = [np.array([box], np.int32) + np.array([0, 0, 1, 1], np.int32) for box in boxes]
    ids = _below(os.path.join(root, "train" if split == "train" else "val/images"), files)
    return PictureSet(name, _categories(root, wnids), np.array(labels, np.int32), list(files), boxes, ids=ids)


def _names(path):
    """The names that a file lists, one on each line."""
    names = []
    for number, name in _lines(path):
        _check_plain(name, path, number)
        if name in names:
            raise InputError(f"{path}, line {number}: {name} stands there twice")
        names.append(name)
    return names


def _table(path, columns):
    """Rows of a tab-separated file: strings, and the last four columns as whole numbers."""
    for number, line in _lines(path):
        cells = line.split("\t")
        if len(cells) != columns or not all(re.fullmatch(r"[0-9]{1,6}", cell) for cell in cells[-4:]):
            raise InputError(f"{path}, line {number}: not {columns} columns that end in x0, y0, x1, y1")
        x0, y0, x1, y1 = map(int, cells[-4:])
        if x1 < x0 or y1 < y0:
            raise InputError(f"{path}, line {number}: the box {x0}, {y0}, {x1}, {y1} ends before it begins")
        _check_plain(cells[0], path, number)
        yield *cells[:-4], x0, y0, x1, y1


def _check_plain(name, path, number):
    """Refuse a name that would lead out of its folder."""
    if name in ("", ".", "..") or os.path.basename(name) != name or "\0" in name:
        raise InputError(f"{path}, line {number}: {name!r} is not a plain file name")


def _lines(path):
    """(number, line) of each line that is not blank."""
    try:
        with open(path, encoding="utf-8") as file:
            return [(number, line.rstrip("\r\n")) for number, line in enumerate(file, 1) if line.strip()]
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
        words = dict(line.split("\t", 1) for _, line in _lines(os.path.join(root, "words.txt"))
                     if "\t" in line)
    return [Category(name, words.get(name, name)) for name in names]


def _divided(root, split, name):
    validation = "val" if os.path.isdir(os.path.join(root, "val")) else "test"
    folder = {"train": "train", "val": validation}[split]
    if not os.path.isdir(os.path.join(root, folder)):
        raise InputError(f"{root} has no folder {'train' if split == 'train' else 'val or test'} "
                         f"for its split {split!r}")
    # A class without pictures in one split must not shift the numbers of those behind it.
    classes = sorted(set(_class_names(os.path.join(root, "train")))
                     | set(_class_names(os.path.join(root, validation))))
    _refuse_parts(root, classes)
    files, labels = _class_folders(os.path.join(root, folder), classes)
    if not files:
        raise _unknown_layout(root)
    return PictureSet(name, _categories(root, classes), np.array(labels, np.int32), files,
                      ids=_below(os.path.join(root, folder), files))


def _undivided(root, split, name):
    classes = _class_names(root)
    _refuse_parts(root, classes)
    files, labels = _class_folders(root, classes)
    if not files:
        raise _unknown_layout(root)
    # By name alone, so that a picture stays in its split when others come or go.
    held_out = np.array([zlib.crc32(os.fsencode(os.path.relpath(file, root))) % HOLD_OUT == 0 for file in files])
    rows = np.flatnonzero(held_out == (split == "val"))
    if not len(rows):
        raise InputError(f"{root}: none of its {len(files)} pictures falls to the split {split!r} (one in "
                         f"{HOLD_OUT} is held out, by a checksum of its name); add pictures, or make train/ and val/")
    return PictureSet(name, _categories(root, classes), np.array(labels, np.int32), files,
                      ids=_below(root, files)).rows(rows)


def _class_names(folder):
    if not os.path.isdir(folder):
        return []
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _refuse_parts(root, classes):
    """InputError where the folders that would be classes are parts of a data set."""
    parts = [name for name in classes if name.casefold() in PARTS]
    # Among other classes, a train is a vehicle.
    if parts and (len(parts) == len(classes) or [name.casefold() for name in parts] != ["train"]):
        raise InputError(f"{root}: {' and '.join(map(repr, parts))} would be taken for the name of a class: there must "
                         "be folders train/ and val/ with one folder in each for every class")


def _class_folders(folder, classes):
    """Files and labels of the pictures anywhere below folder/<class>."""
    files, labels = [], []
    for label, category in enumerate(classes):
        for path, _, names in sorted(os.walk(os.path.join(folder, category))):
            found = [os.path.join(path, file) for file in sorted(names) if is_picture(file)]
            files += found
            labels += [label] * len(found)
    return files, labels


def _below(folder, files):
    """The pictures' names: their paths below the folder that holds their split."""
    return [os.path.relpath(file, folder) for file in files]


def _unknown_layout(root):
    return InputError(
        f"{root} has no known layout: looked for wnids.txt (Tiny ImageNet), for train/ and val/ "
        f"with a folder for each class, and for folders of pictures ({', '.join(ENDINGS)})")
