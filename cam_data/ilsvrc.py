"""ILSVRC's CLS-LOC files: the development kit's lists, annotations, and submissions.

Boxes in the files hold their last pixel; ours are half-open. Classes are the
kit's ids, from 1 to 1000, which `read_wnids` turns into wnids. As a PictureSet
the classes keep their order: category k has the id k + 1.
"""

import codecs
import glob
import os
import re
from typing import NamedTuple

import numpy as np

from cam_base import WNID, Category, InputError, open_regular, replacing
from cam_base.terminal import say
from metrics.ilsvrc import GUESSES
from weights.ilsvrc import categories
from .annotations import read_annotation
from .picture_set import PictureSet, cut_box
from .synsets import read_wnids
from .upright import upright_boxes
from .walking import pictures_below

CLASSES = 1000
SOLUTION = "LOC_val_solution.csv"
LARGEST = 64 << 20  # bytes of a list
INCLUSIVE = np.array([0, 0, 1, 1])
LARGEST_PIXEL = 1e9


class Validation(NamedTuple):
    """The validation pictures, in the order of their names.

    names      without ending, as in ILSVRC2012_val_00000001
    classes    int [n], the kit's ids
    boxes      n int arrays [m, 4], the true boxes of the picture's class, half-open
    excluded   int [e], indices of pictures left out of the localization error
    wnids      of the ids from 1: the wnid of id i is wnids[i - 1]
    sizes      int [n, 2], width and height; None unless all annotations say them
    clipped    int [n], how many of the boxes stuck out of the picture and were cut at its border
    """

    names: list
    classes: np.ndarray
    boxes: list
    excluded: np.ndarray
    wnids: list
    sizes: np.ndarray | None
    clipped: np.ndarray


def read_validation(kit, annotations):
    """The kit's ground truth and the boxes of every picture.

    kit          folder of the development kit of 2012 to 2014 (or its data/ folder), or of Kaggle's lists
    annotations  folder of XML files, ILSVRC2012_val_00000001.xml and so on; Kaggle's lists need none
    returns      Validation
    raises       InputError when a file is missing or not what it should be
    """
    if os.path.exists(os.path.join(kit, SOLUTION)):
        return read_kaggle(kit)
    if annotations is None:
        raise InputError("--kit and --annotations go together, but for Kaggle's kit, which has the boxes itself")
    classes = read_classes(_kit_file(kit, "*clsloc_validation_ground_truth.txt", "*validation_ground_truth.txt"))
    excluded = _excluded(kit, len(classes))
    wnids = read_wnids(_kit_file(kit, "meta_clsloc.mat", "meta.mat"))
    if classes.max(initial=0) > len(wnids):
        raise InputError(f"{kit}: class {classes.max()} is not in its meta_clsloc.mat")
    names = [f"ILSVRC2012_val_{number:08}" for number in range(1, len(classes) + 1)]
    boxes, sizes, clipped = [], [], []
    for name, label in zip(names, classes):
        annotated = read_annotation(os.path.join(annotations, name + ".xml"))
        found = [(box, cut) for wnid, box, cut in annotated.objects if wnid == wnids[label - 1]]
        boxes.append(np.array([box for box, _ in found], np.int32).reshape(-1, 4))
        clipped.append(sum(cut for _, cut in found))
        sizes.append(annotated.size)
    sizes = np.array(sizes, np.int64) if all(sizes) else None
    return Validation(names, classes, boxes, excluded, wnids, sizes, np.array(clipped, np.int64))


def read_kaggle(folder):
    """Validation of Kaggle's lists: LOC_val_solution.csv has classes and boxes, LOC_synset_mapping.txt the wnids in their order."""
    wnids = _mapped_wnids(folder)
    numbers, path = {wnid: number for number, wnid in enumerate(wnids, 1)}, os.path.join(folder, SOLUTION)
    rows = {}
    for number, line in enumerate(_text(path).splitlines()[1:], 2):
        name, _, objects = line.partition(",")
        cells = objects.split()
        if not re.fullmatch(r"ILSVRC2012_val_[0-9]{8}", name) or not cells or len(cells) % 5 or name in rows:
            raise InputError(f"{path}, line {number}: not a picture and five cells (wnid x0 y0 x1 y1) for each object, or one again")
        rows[name] = (cells[0], _solution_boxes(path, number, cells, numbers))
    if not rows:
        raise InputError(f"{path}: lists no picture")
    say(f"{folder}: no list of excluded pictures, so none is left out of the localization error")
    names = sorted(rows)
    return Validation(names, np.array([numbers[rows[name][0]] for name in names]), [rows[name][1] for name in names],
                      np.zeros(0, np.int64), wnids, None, np.zeros(len(names), np.int64))


def kit_wnids(kit):
    """The wnids of a kit, or of Kaggle's lists, in the order of their ids from 1."""
    if os.path.exists(os.path.join(kit, SOLUTION)):
        return _mapped_wnids(kit)
    return read_wnids(_kit_file(kit, "meta_clsloc.mat", "meta.mat"))


def _mapped_wnids(folder):
    path = os.path.join(folder, "LOC_synset_mapping.txt")
    wnids = [line.split(" ", 1)[0] for line in _text(path).splitlines() if line.strip()]
    if len(set(wnids)) != len(wnids) or not wnids or not all(map(WNID.fullmatch, wnids)):
        raise InputError(f"{path}: not a wnid and its words in each line")
    return wnids


def _solution_boxes(path, number, cells, numbers):
    """int [m, 4], half-open: the boxes of the first object's class."""
    objects = np.array(cells, object).reshape(-1, 5)
    if not all(wnid in numbers for wnid in objects[:, 0]) or not all(re.fullmatch(r"[0-9]{1,6}", cell) for cell in objects[:, 1:].ravel()):
        raise InputError(f"{path}, line {number}: a class that the mapping has not, or a box that is none")
    boxes = objects[objects[:, 0] == cells[0], 1:].astype(np.int32)
    if (boxes[:, 2:] < boxes[:, :2]).any():
        raise InputError(f"{path}, line {number}: a box that ends before it begins")
    return boxes + INCLUSIVE.astype(np.int32)


def _excluded(kit, pictures):
    """Indices of excluded pictures; none where the kit has no list of them, as that of 2012, which is said."""
    try:
        path = _kit_file(kit, "*clsloc_validation_blacklist.txt", "*validation_blacklist.txt")
    except InputError:
        say(f"{kit}: no list of excluded pictures, so none is left out of the localization error")
        return np.zeros(0, np.int64)
    return read_excluded(path, pictures)


def open_validation(kit, annotations, folder=None):
    """The validation pictures as a PictureSet, in the kit's order, with boxes and `excluded`.

    kit, annotations  see `read_validation`
    folder            of the pictures, which may lie in folders below it and have any
                      usual ending; None: they are not needed
    raises            InputError as `read_validation` does, or when the folder has none
                      of them. The file of one that is missing alone does not exist
    """
    truth = read_validation(kit, annotations)
    files = [name + ".JPEG" for name in truth.names]
    if folder is not None:
        found = {os.path.basename(name): path for name, path in pictures_below(folder).items()}
        if found.keys().isdisjoint(truth.names):
            raise InputError(f"{folder}: has no picture called {truth.names[0]}, or like any other of the kit")
        files = [found.get(name, os.path.join(folder, file)) for name, file in zip(truth.names, files)]
    boxes, sizes, clipped = truth.boxes, truth.sizes, truth.clipped
    if folder is not None:
        boxes, found = upright_boxes(folder, files, [None] * len(files) if sizes is None else list(map(tuple, sizes.tolist())), boxes)
        if sizes is None:
            # Lists say no sizes; the annotations, which do, are cut at the border when they are read.
            boxes, clipped = zip(*map(_cut_in, boxes, found))
            boxes, clipped = list(boxes), np.array(clipped, np.int64)
        else:
            sizes = np.array(found, np.int64)
    words = dict(categories(CLASSES))
    excluded = np.zeros(len(files), bool)
    excluded[truth.excluded] = True
    return PictureSet("ILSVRC CLS-LOC/val", [Category(wnid, words.get(wnid, wnid)) for wnid in truth.wnids],
                      (truth.classes - 1).astype(np.int32), files, boxes, excluded=excluded, ids=truth.names,
                      sizes=None if sizes is None else sizes[:, ::-1], clipped=clipped)


def _cut_in(boxes, size):
    """(boxes cut at the picture's border, how many were), as far as its size is known; one that lies wholly outside is left to be refused."""
    cut = [cut_box(box, size) or box for box in boxes.tolist()]
    return np.array(cut, np.int32).reshape(-1, 4), sum(one != box for one, box in zip(cut, boxes.tolist()))


def _kit_file(kit, *patterns):
    """The file that is called like the first of the patterns that any is called like."""
    for pattern in patterns:
        for folder in (os.path.join(kit, "data"), kit):
            found = sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
            if found:
                return found[-1]
    raise InputError(f"{kit}: no {' or '.join(patterns)} in it or in its data folder; "
                     "name the folder of the unpacked development kit")


def read_classes(path):
    """The true class of each picture: int [n], the kit's ids, one a line."""
    classes = np.array(_numbers(path, 1, CLASSES), np.int64)
    if not len(classes):
        raise InputError(f"{path}: lists no picture")
    return classes


def read_excluded(path, pictures):
    """Indices, from 0, of excluded pictures: the file has one number, from 1, a line."""
    return np.unique(np.array(_numbers(path, 1, pictures), np.int64)) - 1


def read_submission(path, pictures=None, highest=CLASSES):
    """Guesses in the kit's form: `class x0 y0 x1 y1`, up to five times a line.

    pictures  how many lines there must be; None: any number
    highest   of the classes
    returns   (classes int [n, 5], 0 where there are fewer guesses; boxes float64
              [n, 5, 4], half-open)
    raises    InputError naming the line. Guesses behind the fifth are ignored,
              as the kit ignores them; a line of one 0 has no guesses.
    """
    lines = _text(path).splitlines()
    if pictures is not None and len(lines) != pictures:
        raise InputError(f"{path}: has {len(lines)} lines; one for each of {pictures} pictures is needed")
    classes = np.zeros((len(lines), GUESSES), np.int64)
    boxes = np.zeros((len(lines), GUESSES, 4))
    for row, line in enumerate(lines):
        cells = line.split()
        if cells in ([], ["0"]):
            continue
        try:
            guesses = np.array(cells, np.float64).reshape(-1, 5)[:GUESSES]
        except ValueError:
            guesses = np.full((1, 5), np.nan)
        label = guesses[:, 0]
        if not ((abs(guesses) < LARGEST_PIXEL).all() and (label == np.floor(label)).all()
                and ((label >= 0) & (label <= highest)).all()):
            raise InputError(f"{path}, line {row + 1}: not five numbers (class from 1 to "
                             f"{highest}, x0, y0, x1, y1) for each guess")
        classes[row, :len(guesses)] = label
        boxes[row, :len(guesses)] = guesses[:, 1:] + INCLUSIVE * (label > 0)[:, None]
    return classes, boxes


def write_submission(path, classes, boxes):
    """Write guesses for the kit.

    classes  int [n, g], best first; 0: no guess, or one of a class that the kit has
             not: before other guesses it is written, since it takes a place
    boxes    [n, g, 4]: x0, y0, x1, y1 in pixels, half-open; of class 0, of no matter
    """
    classes, last = np.asarray(classes), np.asarray(boxes) - INCLUSIVE
    with replacing(path) as file:
        for row, corners in zip(classes, last):
            guesses = [f"{label} " + " ".join(f"{corner:.10g}" for corner in box) if label else "0 0 0 0 0"
                       for label, box in zip(row[:np.max(np.flatnonzero(row) + 1, initial=0)], corners)]
            file.write(((" ".join(guesses) or "0") + "\n").encode())


def _text(path):
    try:
        with open_regular(path, LARGEST) as file:
            return file.read().removeprefix(codecs.BOM_UTF8).decode("ascii")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is the data set complete?") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file") from None


def _numbers(path, lowest, highest):
    """One whole number on each line."""
    numbers = []
    for number, line in enumerate(_text(path).rstrip().splitlines(), 1):
        if not re.fullmatch(r"[0-9]{1,9}", line.strip()) or not lowest <= int(line) <= highest:
            raise InputError(f"{path}, line {number}: {line[:20]!r} is no number "
                             f"from {lowest} to {highest}")
        numbers.append(int(line))
    return numbers
