"""A list of pictures as people write it: labels.csv, `file,label` with or without `x0,y0,x1,y1` and `split`."""

import csv
import glob
import io
import os

import numpy as np

from cam_base import Category, InputError, open_regular
from .boxed import outward, size_of
from .layouts import CALLED, is_held_out
from .paths import plain_path
from .picture_set import PictureSet, cut_box

LARGEST = 256 << 20  # bytes
COLUMNS, BOX = ("file", "label"), ("x0", "y0", "x1", "y1")
PLACES = ("", "images", "pictures")  # where the files lie, seen from the list


def find_list(root):
    """The one .csv file of a folder whose first line names the columns `file` and `label`, or the file itself; None where there is none."""
    if os.path.isfile(root):
        return root if root.lower().endswith(".csv") else None
    found = [path for path in sorted(glob.glob(os.path.join(glob.escape(root), "*.csv"))) if set(COLUMNS) <= set(_columns(path))]
    if len(found) > 1:
        raise InputError(f"{root}: {' and '.join(map(os.path.basename, found))} are both lists of pictures: name one by --data")
    return found[0] if found else None


def open_list(root, split, path):
    """The `split` of a list. Boxes are half-open, x0 <= x < x1, in pixels of the upright picture, decimals rounded outward; several rows of one picture are
    its boxes. Without a column `split`, a tenth of the pictures, by a checksum of their names, is "val".
    """
    folder, rows = os.path.dirname(os.path.abspath(path)), _read(path)
    boxed = all(name in rows[0][1] for name in BOX)
    labels, boxes = {}, {}
    for number, row in rows:
        file, label = _plain(path, number, row["file"]), row["label"]
        if not label or labels.setdefault(file, (label, row.get("split"))) != (label, row.get("split")):
            raise InputError(f"{path}, line {number}: {file} has no label, or another one than before")
        if boxed:
            boxes.setdefault(file, []).append(_box(path, number, row))
    names = sorted({label for label, _ in labels.values()})
    numbers = {name: number for number, name in enumerate(names)}
    parts = {file: _part_of(path, file, part) for file, (_, part) in labels.items()}
    wanted = "test" if split == "val" and "val" not in parts.values() else split
    chosen = [file for file, part in parts.items() if part == wanted]
    if not chosen:
        raise InputError(f"{path}: none of its {len(labels)} pictures is of the split {split!r}")
    files = [_find(folder, file) for file in chosen]
    found = PictureSet(f"{os.path.basename(folder)}/{split}", [Category(None, name) for name in names],
                       np.array([numbers[labels[file][0]] for file in chosen], np.int32), files, ids=chosen)
    return _with_boxes(path, found, [boxes[file] for file in chosen]) if boxed else found


def _columns(path):
    try:
        with open_regular(path, LARGEST) as file:
            first = file.readline(4096).decode("utf-8-sig")
        return next(csv.reader([first]), [])
    except (OSError, UnicodeDecodeError, InputError, csv.Error):
        return []


def _read(path):
    """(number of the line, {column: cell}) of each row."""
    if not set(COLUMNS) <= set(_columns(path)):
        raise InputError(f"{path}: its first line must name the columns file and label")
    try:
        with open_regular(path, LARGEST) as file:
            reader = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise InputError(f"{path}: its first line must name the columns file and label")
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a list in UTF-8 with commas ({error})") from None
    if not rows:
        raise InputError(f"{path}: lists no pictures")
    for number, row in rows:
        if None in row or None in row.values():
            raise InputError(f"{path}, line {number}: has another number of columns than the first line")
    return rows


def _plain(path, number, file):
    """The name with forward slashes; refused where it would lead out of the list's folder."""
    plain = plain_path(file)
    if plain is None:
        raise InputError(f"{path}, line {number}: {file!r} is not a file below the list's folder")
    return plain


def _box(path, number, row):
    try:
        x0, y0, x1, y1 = outward(*(float(row[name]) for name in BOX))
    except ValueError:  # far away, too
        raise InputError(f"{path}, line {number}: {', '.join(row[name] for name in BOX)} are no box") from None
    if not (x0 < x1 and y0 < y1):
        raise InputError(f"{path}, line {number}: the box {x0}, {y0}, {x1}, {y1} is empty")
    return [x0, y0, x1, y1]


def _part_of(path, file, part):
    if part is None:
        return "val" if is_held_out(file) else "train"
    for split, called in CALLED.items():
        if part.strip().casefold() in called:
            return split
    raise InputError(f"{path}: {file} is of the split {part!r}; known are train and val")


def _find(folder, file):
    for place in PLACES:
        path = os.path.join(folder, place, file)
        if os.path.exists(path):
            return path
    return os.path.join(folder, file)  # its reader says that it is missing


def _with_boxes(path, pictures, boxes):
    """The set with true boxes, cut at the borders of their pictures."""
    inside, clipped = [], []
    for file, of_picture in zip(pictures.files, boxes):
        size = size_of(file)
        cut = [box if size is None else cut_box(box, size) for box in of_picture]
        if None in cut:
            raise InputError(f"{path}: a box of {file} lies outside of its {size[0]} x {size[1]} pixels")
        inside.append(np.array(cut, np.int32))
        clipped.append(sum(one != other for one, other in zip(cut, of_picture)))
    return PictureSet(**{**vars(pictures), "boxes": inside, "clipped": np.array(clipped, np.int64)})
