"""A list of pictures as people write it: labels.csv, `file,label` with or without boxes and `split`."""

import csv
import io
import os
import re

import numpy as np

from cam_base import Category, InputError, folded, open_regular
from cam_base.terminal import counted, say_once
from .alike import classes_of
from .boxed import Boxed, boxed_set, outward, undivided
from .layouts import CALLED, has_class_folders
from .list_columns import ENDINGS, LARGEST, list_files, read_columns
from .paths import plain_path
from .picture_set import MissingSplit, PictureSet
from .walking import is_picture

PLACES = ("", "images", "pictures")  # where the files lie first, seen from the list


def find_list(root):
    """The one list of a folder whose first line names the columns `file` and `label`, or the file itself; None where there is none."""
    if os.path.isfile(root):
        return root if root.lower().endswith(ENDINGS) else None
    return _only(root, _lists(root, lambda columns: (columns.file, columns.label) == ("file", "label")))


def find_list_of_others(root):
    """The one list of a folder whose columns have other names, where there are no folders of classes; None where there is none."""
    found = _lists(root, lambda columns: columns.file and columns.label)
    return None if not found or has_class_folders(root) else _only(root, found)


def _lists(root, is_list):
    return [path for path in list_files(root) if (columns := read_columns(path)) and is_list(columns)]


def _only(root, lists):
    if len(lists) > 1:
        raise InputError(f"{root}: {' and '.join(map(os.path.basename, lists))} are both lists of pictures: name one by --data")
    return lists[0] if lists else None


def open_list(root, split, path):
    """The `split` of a list as a PictureSet; one with boxes has a row for each picture and class.

    Boxes are half-open, x0 <= x < x1, in pixels, decimals rounded outward. Several rows of one picture are its boxes.
    Without a column `split`, a tenth of the pictures, by a checksum of their names, is "val".
    """
    folder, (columns, rows) = os.path.dirname(os.path.abspath(path)), _read(path)
    if columns.not_read:
        say_once(f"{path}: columns that are not read: {', '.join(columns.not_read)}")
    names, numbers = classes_of(path, sorted({row[columns.label] for _, row in rows}))
    _refuse_several(path, columns, rows, names)
    pictures, parts = _by_picture(path, columns, rows, numbers)
    find = _Finder(path)
    chosen = [pictures[file]._replace(file=find(file)) for file in _of_split(path, parts, split)]
    name, categories = f"{os.path.basename(folder)}/{split}", [Category(None, name) for name in names]
    if columns.box:
        return boxed_set(path, name, chosen, categories, sized=columns.sized)
    if not any(os.path.exists(picture.file) for picture in chosen):
        raise InputError(f"{chosen[0].file}: no such picture, nor any other of {path}")
    return PictureSet(name, categories, np.array([picture.objects[0][0] for picture in chosen], np.int32),
                      [picture.file for picture in chosen], ids=[picture.name for picture in chosen])


def _read(path):
    """(Columns, (number of the line, {column: cell}) of each row)."""
    columns = read_columns(path)
    if not columns or not columns.file or not columns.label:
        there = f"; it names {', '.join(filter(None, columns.names))[:200]}" if columns and any(columns.names) else ""
        raise InputError(f"{path}: its first line must name the columns file and label{there or ', in UTF-8'}")
    try:
        with open_regular(path, LARGEST) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            reader = csv.DictReader(text, delimiter=columns.delimiter, skipinitialspace=True)
            if [name.strip() for name in reader.fieldnames or ()] != columns.names:
                raise InputError(f"{path}: its first line must name the columns file and label, and end there")
            reader.fieldnames = columns.names
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a list in UTF-8 that can be read ({error})") from None
    if not rows:
        raise InputError(f"{path}: lists no pictures")
    for number, row in rows:
        if None in row or None in row.values():
            raise InputError(f"{path}, line {number}: has another number of columns than the first line")
        row[columns.file] = row[columns.file].strip()
        if not row[columns.label].strip():
            raise InputError(f"{path}, line {number}: {row[columns.file]} has no label")
    return columns, rows


def _by_picture(path, columns, rows, numbers):
    """{file: Boxed, with labels, and boxes or None, but not found yet}, {file: what the list says of its split}."""
    pictures, parts = {}, {}
    for number, row in rows:
        file, label = _plain(path, number, row[columns.file]), numbers[row[columns.label]]
        part = row.get(columns.split)
        if parts.setdefault(file, part) != part:
            raise InputError(f"{path}, line {number}: {file} is of another split than before")
        picture = pictures.setdefault(file, Boxed(file, file, [], _size(path, number, row, columns)))
        if not columns.box and picture.objects and picture.objects[0][0] != label:
            raise InputError(f"{path}, line {number}: {file} has another label than before: several labels of a picture are not "
                             "supported, but for such as have boxes")
        picture.objects.append((label, _box(path, number, row, columns) if columns.box else None, False))
    return pictures, parts


def _refuse_several(path, columns, rows, names):
    """InputError for a label that is several, as "Cardiomegaly|Effusion" is."""
    known = {folded(name) for name in names}
    for number, row in rows:
        label = row[columns.label]
        parts = [folded(part) for part in re.split("[|;,]", label)]
        if "|" in label or len(parts) > 1 and known.issuperset(parts):
            raise InputError(f"{path}, line {number}: {label[:80]!r} are several labels, and a row has one: several labels of a picture "
                             "are not supported, but for such as have boxes, in a row each")


def _plain(path, number, file):
    """The name with forward slashes; refused where it would lead out of the list's folder."""
    plain = plain_path(file)
    if plain is None:
        raise InputError(f"{path}, line {number}: {file!r} is not a file below the list's folder")
    return plain


def _box(path, number, row, columns):
    cells = [row[name] for name in columns.box]
    if not "".join(cells).strip():
        raise InputError(f"{path}, line {number}: {row[columns.file]} has no box: in a list with boxes every row has one, so leave out "
                         "this row, or the columns of boxes")
    try:
        if len(cells) == 1:
            cells = re.sub(r"[\[\](){},;]", " ", cells[0]).split()
        x0, y0, x1, y1 = map(float, cells)
        x0, y0, x1, y1 = outward(x0, y0, x0 + x1, y0 + y1) if columns.sized else outward(x0, y0, x1, y1)
    except ValueError:  # far away, too
        raise InputError(f"{path}, line {number}: {', '.join(row[name] for name in columns.box)[:80]} are no box") from None
    if not (x0 < x1 and y0 < y1):
        raise InputError(f"{path}, line {number}: the box {x0}, {y0}, {x1}, {y1} is empty")
    return [x0, y0, x1, y1]


def _size(path, number, row, columns):
    """(width, height) as the list says it; None where it has no columns of it."""
    if not columns.size or not columns.box:
        return None
    cells = [row[name].strip() for name in columns.size]
    if not all(re.fullmatch(r"0*[1-9][0-9]{0,5}(\.0+)?", cell) for cell in cells):
        raise InputError(f"{path}, line {number}: {' x '.join(cells)[:40]} is no picture's size ({', '.join(columns.size)})")
    return tuple(int(float(cell)) for cell in cells)


def _of_split(path, parts, split):
    """The files of a split; parts: {file: what the list says, None without a column of it}."""
    if None in parts.values():
        return undivided(path, parts, split)
    parts = {file: _part_of(path, file, part) for file, part in parts.items()}
    wanted = "test" if split == "val" and "val" not in parts.values() else split
    found = [file for file, part in parts.items() if part == wanted]
    if not found:
        raise MissingSplit(f"{path}: none of its {counted(len(parts), 'picture')} is of the split {split!r}")
    return found


def _part_of(path, file, part):
    for split, called in CALLED.items():
        if part.strip().casefold() in called:
            return split
    raise InputError(f"{path}: {file} is of the split {part!r}; known are train and val")


class _Finder:
    """Finds the pictures of a list: beside it, in `images` or `pictures`, or in another folder there, first one called like the list.

    Their names may lack the ending, or differ in case or in the form of their letters.
    """

    def __init__(self, path):
        self.path, self.folder, self.listed = path, os.path.dirname(os.path.abspath(path)), {}
        stem = os.path.splitext(os.path.basename(path))[0].casefold()
        others = sorted(entry.name for entry in os.scandir(self.folder)
                        if entry.is_dir() and not entry.name.startswith(".") and entry.name not in PLACES)
        self.places = (*PLACES, *(name for name in others if name.casefold().startswith(stem)))
        self.others = [name for name in others if name not in self.places]

    def __call__(self, file):
        for look in (self._as_written, self._alike):
            found = next(filter(None, (look(place, file) for place in self.places)), None)
            if found:
                return found
            found = list(filter(None, (look(place, file) for place in self.others)))
            if len(found) > 1:
                first, second = (os.path.relpath(os.path.dirname(one), self.folder) for one in found[:2])
                raise InputError(f"{self.path}: {file} is in {first} and in {second}: write its folder in front of it")
            if found:
                return found[0]
        return os.path.join(self.folder, file)  # its reader says that it is missing

    def _as_written(self, place, file):
        path = os.path.join(self.folder, place, file)
        return path if os.path.isfile(path) else None

    def _alike(self, place, file):
        folder, name = os.path.split(os.path.join(self.folder, place, file))
        if folder not in self.listed:
            self.listed[folder] = {}
            for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                if is_picture(entry):
                    for key in {folded(entry), folded(os.path.splitext(entry)[0])}:
                        self.listed[folder].setdefault(key, []).append(entry)
        found = self.listed[folder].get(folded(name), ())
        return os.path.join(folder, found[0]) if len(found) == 1 else None
