"""Picture sets on disk, recognised by looking: Tiny ImageNet's layout, and a folder for each class."""

import io
import os
import re
import zlib

import numpy as np

from cam_base import WNID, Category, InputError, open_regular
from cam_base.terminal import counted, say_once
from .alike import classes_of
from .decoding import read_picture
from .folder_index import indexed
from .picture_set import MissingSplit, PictureSet, cut_box
from .unread import masks_beside, unread_lists
from .walking import ENDINGS, below, is_picture, walk_pictures

SPLITS = ("train", "val")
# What people call the parts of a data set, in any case: as classes they would be labels that mean nothing.
CALLED = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
PARTS = {name for names in CALLED.values() for name in names}
# And what they call folders of pictures of any class, and parts to be judged in turn.
ROLES = re.compile(r"((train|val|valid|test)[-_ ]?)?"
                   r"(images?|imgs?|pictures?|photos?|jpegimages|labels?|annotations?|masks?|ground[-_ ]?truth|gt|data)")
FOLDS = re.compile(r"(.*images?[-_ ])?(fold|split|part|subset|batch|cv)[-_ ]?[0-9]+")
# Folders that archives and editors leave behind.
LEFT_BEHIND = {"__macosx"}
BOX = re.compile(r"(-?[0-9]{1,6}\t){2}[0-9]{1,6}\t[0-9]{1,6}")  # what sticks out to the left or above is cut off
# Of ten files of an undivided folder, one is for validation.
HOLD_OUT = 10
# Pixels of the sides of Tiny ImageNet's pictures.
TINY_SIDE = 64
LARGEST_LIST = 256 << 20  # bytes


def open_folder(root, split):
    """The `split` ("train" or "val") of the data set in folder `root`, as a PictureSet.

    Known layouts: Tiny ImageNet's (wnids.txt, train/<wnid>/images, val/images);
    train/<class>/* with val/<class>/* or test/<class>/*, by any of the names in CALLED; and
    <class>/* alone, of which a tenth of the files, by a checksum of their names, are "val".
    A folder that holds nothing but one such folder is entered, and that is said.
    Both splits have the same classes, though one may lack pictures of some; a folder without
    any picture is no class. Raises InputError for any other, saying what was looked for.
    """
    if split not in SPLITS:
        raise InputError(f"no split is called {split!r}; there are {' and '.join(SPLITS)}")
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder")
    with indexed(root):
        return _open(_unwrapped(root), split)


def _open(root, split):
    name = f"{os.path.basename(os.path.abspath(root))}/{split}"
    if os.path.exists(os.path.join(root, "wnids.txt")):
        return _tiny_imagenet(root, split, name)
    if _is_divided(root):
        return _divided(root, split, name)
    return _undivided(root, split, name)


def _unwrapped(root):
    """The folder itself, or the one within it that holds all, as archives are unpacked."""
    entries = [entry for entry in os.scandir(root) if not entry.name.startswith(".") and entry.name.casefold() not in LEFT_BEHIND]
    folders = [entry for entry in entries if entry.is_dir()]
    if len(folders) != 1 or any(is_picture(entry.name) or entry.name == "wnids.txt" for entry in entries) or folders[0].name.casefold() in PARTS:
        return root
    inside = folders[0].path
    if not os.path.exists(os.path.join(inside, "wnids.txt")) and not _is_divided(inside) and len(_class_names(inside)) < 2:
        return root
    say_once(f"{root}: the data set is the folder {folders[0].name} within it")
    return inside


def _is_divided(root):
    """Whether its folders are splits: there is one to train on, or nothing but splits."""
    if _part(root, "train"):
        return True
    return bool(_part(root, "val") or _part(root, "test")) and all(name.casefold() in PARTS for name in _class_names(root))


def _part(root, part):
    """The name of the folder that people call so: "Training" for "train"; None where there is none, InputError where there are two."""
    found = sorted(entry.name for entry in os.scandir(root) if entry.name.casefold() in CALLED[part] and entry.is_dir())
    if len(found) > 1:
        raise InputError(f"{root}: {' and '.join(found)} are both folders for the split {part!r}: keep one")
    return found[0] if found else None


def _tiny_imagenet(root, split, name):
    wnids = _names(os.path.join(root, "wnids.txt"))
    if not os.path.exists(os.path.join(root, split)):
        raise MissingSplit(f"{root} has no folder {split} for its split {split!r}")
    rows = []
    if split == "train":
        for label, wnid in enumerate(wnids):
            folder = os.path.join(root, "train", wnid)
            images = os.path.join(folder, "images")
            for file, box, cut in _table(os.path.join(folder, f"{wnid}_boxes.txt"), 5, images):
                rows.append((os.path.join(images, file), label, box, cut))
    else:
        number, folder = {wnid: label for label, wnid in enumerate(wnids)}, os.path.join(root, "val", "images")
        for file, wnid, box, cut in _table(os.path.join(root, "val", "val_annotations.txt"), 6, folder):
            if wnid in number:
                rows.append((os.path.join(folder, file), number[wnid], box, cut))
    if not rows:
        raise InputError(f"{root} lists no picture for its split {split!r}")
    files, labels, boxes, clipped = zip(*rows)
    ids = _below(os.path.join(root, "train" if split == "train" else "val/images"), files)
    return PictureSet(name, _categories(root, wnids), np.array(labels, np.int32), list(files),
                      [np.array([box], np.int32) for box in boxes], ids=ids, clipped=np.array(clipped, np.int64))


def _names(path):
    """The names that a file lists, one on each line."""
    lines = {}
    for number, name in _lines(path):
        _check_plain(name, path, number)
        if name in lines:
            raise InputError(f"{path}, line {number}: {name} stands there twice, the first time in line {lines[name]}")
        lines[name] = number
    return list(lines)


def _table(path, columns, folder):
    """Rows of a tab-separated file about the pictures in `folder`: (strings ..., box, whether it was cut).

    The last four columns are a box with its last pixel; ours are half-open. A row
    that stands there again is passed over.
    """
    known = {}
    for number, line in _lines(path):
        cells = line.split("\t")
        if len(cells) != columns or not BOX.fullmatch("\t".join(cells[-4:])):
            raise InputError(f"{path}, line {number}: not {columns} columns that end in x0, y0, x1, y1")
        _check_plain(cells[0], path, number)
        first, before = known.setdefault(cells[0], (number, cells))
        if before != cells:
            raise InputError(f"{path}, line {number}: says something else of {cells[0]} than line {first}")
        if first == number:
            box, cut = _tiny_box(path, number, cells, folder)
            yield *cells[:-4], box, cut


def _tiny_box(path, number, cells, folder):
    x0, y0, x1, y1 = map(int, cells[-4:])
    if x1 < x0 or y1 < y0:
        raise InputError(f"{path}, line {number}: the box {x0}, {y0}, {x1}, {y1} ends before it begins")
    box, size = [x0, y0, x1 + 1, y1 + 1], (TINY_SIDE, TINY_SIDE)
    picture = os.path.join(folder, cells[0])
    if cut_box(box, size) != box and os.path.exists(picture):  # which may be of a set in this form with larger ones
        size = read_picture(picture).shape[1::-1]
    inside = cut_box(box, size)
    if inside is None:
        raise InputError(f"{path}, line {number}: the box {x0}, {y0}, {x1}, {y1} lies outside of "
                         f"the {size[0]} x {size[1]} pixels of {cells[0]}")
    return inside, inside != box


def _check_plain(name, path, number):
    """Refuse a name that would lead out of its folder."""
    if name in ("", ".", "..") or os.path.basename(name) != name or "\0" in name:
        raise InputError(f"{path}, line {number}: {name!r} is not a plain file name")


def _lines(path):
    """(number, line) of each line that is not blank."""
    try:
        with io.TextIOWrapper(open_regular(path, LARGEST_LIST), encoding="utf-8-sig") as file:
            return [(number, line.rstrip("\r\n")) for number, line in enumerate(file, 1) if line.strip()]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (Tiny ImageNet's layout has it)") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None


def _categories(root, names):
    """Categories of folder names: wnids get their words from words.txt, or the name where there is none."""
    if not all(WNID.fullmatch(name) for name in names):
        return [Category(None, name) for name in names]
    path = os.path.join(root, "words.txt")
    words = _words(path) if os.path.exists(path) else {}
    return [Category(name, words.get(name, name)) for name in names]


def _words(path):
    """{wnid: words} of a file with a tab between them; lines without one say nothing."""
    lines = {}
    for number, line in _lines(path):
        name, tab, words = line.partition("\t")
        first, before = lines.setdefault(name, (number, words)) if tab else (number, words)
        if before != words:
            raise InputError(f"{path}, line {number}: gives {name} other words than line {first}")
    return {name: words for name, (_, words) in lines.items()}


def _divided(root, split, name):
    train, validation = _part(root, "train"), _part(root, "val") or _part(root, "test")
    folder = {"train": train, "val": validation}[split]
    if folder is None:
        raise MissingSplit(f"{root} has no folder {'train' if split == 'train' else 'val or test'} "
                           f"for its split {split!r}{unread_lists(root)}")
    # A class without pictures in one split must not shift the numbers of those behind it.
    found = {part: _class_names(os.path.join(root, part)) for part in (train, validation) if part}
    _refuse_parts(root, sorted(set().union(*found.values())))
    classes, numbers = classes_of(root, [name for part in found.values() for name in part])
    files, labels = _class_folders(os.path.join(root, folder), {name: numbers[name] for name in found[folder]})
    if not files and any(names for _, names in walk_pictures(os.path.join(root, folder))):
        raise InputError(f"{root}: the pictures of its folder {folder} are in no folders of classes, so nothing says what they are of"
                         + "; train_loop.py does without them by --hold-out" * (split == "val") + unread_lists(root))
    if not files:
        raise _unknown_layout(root)
    return PictureSet(name, _categories(root, classes), np.array(labels, np.int32), files,
                      ids=_below(os.path.join(root, folder), files))


def is_held_out(name):
    """Whether a picture of an undivided set is for validation. By its name alone, so that it stays in its split when others come or go."""
    return zlib.crc32(os.fsencode(name)) % HOLD_OUT == 0


def _undivided(root, split, name):
    found = _class_names(root)
    _refuse_parts(root, found)
    classes, numbers = classes_of(root, found)
    files, labels = _class_folders(root, numbers)
    if not files:
        raise _unknown_layout(root)
    ids = _below(root, files)
    held_out = np.array([is_held_out(name) for name in ids])
    rows = np.flatnonzero(held_out == (split == "val"))
    if not len(rows):
        raise MissingSplit(f"{root}: none of its {counted(len(files), 'picture')} falls to the split {split!r} (one in "
                           f"{HOLD_OUT} is held out, by a checksum of its name); add pictures, or make train/ and val/")
    return PictureSet(name, _categories(root, classes), np.array(labels, np.int32), files, ids=ids).rows(rows)


def has_class_folders(root):
    """Whether there are folders of two classes or more, divided or not."""
    if not os.path.isdir(root):
        return False
    folders = [os.path.join(root, part) for part in map(lambda part: _part(root, part), CALLED) if part] or [root]
    return any(len([name for name in _class_names(folder) if not _is_role(name)]) > 1 for folder in folders)


def _class_names(folder):
    """Names of the folders that hold pictures, at any depth."""
    return sorted(entry.name for entry in os.scandir(folder)
                  if entry.is_dir() and not entry.name.startswith(".") and entry.name.casefold() not in LEFT_BEHIND
                  and any(names for _, names in walk_pictures(entry.path)))


def _is_role(name):
    return name.casefold() in PARTS or bool(ROLES.fullmatch(name.casefold()))


def _refuse_parts(root, classes):
    """InputError where the folders that would be classes are parts of a data set."""
    parts = [name for name in classes if name.casefold() in PARTS]
    # Among other classes, a train is a vehicle.
    if parts and (len(parts) == len(classes) or [name.casefold() for name in parts] != ["train"]):
        raise InputError(f"{root}: {' and '.join(map(repr, parts))} would be taken for the name of a class: there must "
                         "be folders train/ and val/ with one folder in each for every class")
    if classes and all(map(_is_role, classes)):
        raise InputError(f"{root}: {' and '.join(map(repr, classes))} would be taken for the name of a class: there must be a folder "
                         f"for each class, or a list that says what pictures are of{unread_lists(root)}")
    if classes and all(FOLDS.fullmatch(name.casefold()) for name in classes):
        few = " and ".join(map(repr, classes[:3])) + " ..." * (len(classes) > 3)
        raise InputError(f"{root}: {few} would be taken for names of classes, and look like parts to be judged in turn: make folders "
                         "train/ and val/ of them, with a folder in each for every class")


def _class_folders(folder, numbers):
    """Files and labels of the pictures anywhere below folder/<class>, but for masks beside them; numbers: {name of the folder: label}."""
    files, labels, left = [], [], []
    for category, label in numbers.items():
        found = [(path, name) for path, names in sorted(walk_pictures(os.path.join(folder, category))) for name in names]
        masks = masks_beside(os.path.join(folder, category), found)
        left += sorted(masks)
        found = [f"{path}{os.sep}{name}" for path, name in found if (path, name) not in masks]  # a million calls of join take seconds
        files += found
        labels += [label] * len(found)
    if left:
        say_once(f"{folder}: left out {counted(len(left), 'mask')} beside the pictures, such as {os.path.relpath(os.path.join(*left[0]), folder)}")
    return files, labels


def _below(folder, files):
    """The pictures' names: their paths below the folder that holds their split."""
    inside = os.path.join(folder, "")
    return [below(inside, file) for file in files]


def _unknown_layout(root):
    return InputError(
        f"{root} has no known layout: looked for wnids.txt (Tiny ImageNet), for train/ and val/ "
        f"with a folder for each class, and for folders of pictures ({', '.join(ENDINGS)}){unread_lists(root)}")
