"""ILSVRC's CLS-LOC files: the development kit's lists, annotations, and submissions.

Boxes in the files hold their last pixel; ours are half-open. Classes are the
kit's ids, from 1 to 1000, which `read_wnids` turns into wnids. As a PictureSet
the classes keep their order: category k has the id k + 1.
"""

import glob
import math
import os
import re
from typing import NamedTuple
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

import numpy as np
import scipy.io

from cam_base import Category, InputError, replacing
from cam_data.layouts import pictures_below
from cam_data.picture_set import PictureSet
from metrics.ilsvrc import GUESSES
from weights.ilsvrc import categories

CLASSES = 1000
LARGEST = {"list": 64 << 20, "mat": 16 << 20, "xml": 1 << 20}  # bytes
INCLUSIVE = np.array([0, 0, 1, 1])
LARGEST_PIXEL = 1e9


class Validation(NamedTuple):
    """The validation pictures, in the order of their names.

    names      without ending, as in ILSVRC2012_val_00000001
    classes    int [n], the kit's ids
    boxes      n int arrays [m, 4], the true boxes of the picture's class, half-open
    excluded   int [e], indices of pictures left out of the localization error
    wnids      of the ids from 1: the wnid of id i is wnids[i - 1]
    """

    names: list
    classes: np.ndarray
    boxes: list
    excluded: np.ndarray
    wnids: list


def read_validation(kit, annotations):
    """The kit's ground truth and the boxes of every picture.

    kit          folder of the development kit (or its data/ folder)
    annotations  folder of XML files, ILSVRC2012_val_00000001.xml and so on
    returns      Validation
    raises       InputError when a file is missing or not what it should be
    """
    classes = read_classes(_kit_file(kit, "*clsloc_validation_ground_truth.txt"))
    excluded = read_excluded(_kit_file(kit, "*clsloc_validation_blacklist.txt"), len(classes))
    wnids = read_wnids(_kit_file(kit, "meta_clsloc.mat"))
    if classes.max(initial=0) > len(wnids):
        raise InputError(f"{kit}: class {classes.max()} is not in its meta_clsloc.mat")
    names = [f"ILSVRC2012_val_{number:08}" for number in range(1, len(classes) + 1)]
    boxes = []
    for name, label in zip(names, classes):
        found = read_annotation(os.path.join(annotations, name + ".xml"))
        boxes.append(np.array([box for wnid, box in found if wnid == wnids[label - 1]],
                              np.int32).reshape(-1, 4))
    return Validation(names, classes, boxes, excluded, wnids)


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
    words = dict(categories(CLASSES))
    excluded = np.zeros(len(files), bool)
    excluded[truth.excluded] = True
    return PictureSet("ILSVRC CLS-LOC/val", [Category(wnid, words.get(wnid, wnid)) for wnid in truth.wnids],
                      (truth.classes - 1).astype(np.int32), files, truth.boxes, excluded=excluded, ids=truth.names)


def _kit_file(kit, pattern):
    for folder in (os.path.join(kit, "data"), kit):
        found = sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
        if found:
            return found[-1]
    raise InputError(f"{kit}: no {pattern} in it or in its data folder; "
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


def read_wnids(path):
    """The wnids of the ids 1, 2, ... from the kit's meta_clsloc.mat (or older meta.mat)."""
    _check_size(path, "mat")
    try:
        shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
        if not 0 < math.prod(shapes["synsets"]) < 100_000:
            raise ValueError
        synsets = scipy.io.loadmat(path, variable_names=["synsets"])["synsets"].ravel()
        field = next(name for name in synsets.dtype.names
                     if re.fullmatch(r"ILSVRC\d{4}(_CLSLOC)?_ID", name))
        wnid_of = {int(np.squeeze(synset[field])): str(np.squeeze(synset["WNID"]))
                   for synset in synsets}
        # Kits of 2012 and before go on with synsets above the thousand classes.
        wnids = [wnid_of[number] for number in range(1, min(len(wnid_of), CLASSES) + 1)]
    except Exception:  # a file that is no MAT file can fail anywhere in its reader
        raise InputError(f"{path}: not the kit's table of synsets; "
                         "take meta_clsloc.mat from its data folder") from None
    if not all(re.fullmatch(r"n\d{8}", wnid) for wnid in wnids):
        raise InputError(f"{path}: has WNIDs that are none, such as "
                         f"{next(w for w in wnids if not re.fullmatch(r'n[0-9]{8}', w))[:20]!r}")
    return wnids


def read_annotation(path):
    """The objects of a picture: [(wnid, [x0, y0, x1, y1])], pixels, half-open.

    XML of the PASCAL VOC form. A file with a document type is refused: entities
    are defined there, and ILSVRC's files have none.
    """
    _check_size(path, "xml")
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        with open(path, "rb") as file:
            parser.ParseFile(file)
        root = builder.close()
    except _DocumentType:
        raise InputError(f"{path}: has a document type (<!DOCTYPE), which annotations "
                         "have not; remove it if the file is yours") from None
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: its encoding
        raise InputError(f"{path}: not XML that can be read: {error}") from None
    if root.tag != "annotation":
        raise InputError(f"{path}: starts with <{root.tag[:20]}>, not with <annotation>")
    return [_object(path, number, node) for number, node in enumerate(root.iter("object"), 1)]


class _DocumentType(Exception):
    pass


def _refuse_document_type(*_):
    raise _DocumentType


def _object(path, number, node):
    wnid = (node.findtext("name") or "").strip()
    corners = [node.findtext(f"bndbox/{corner}") or "" for corner in ("xmin", "ymin", "xmax", "ymax")]
    if not wnid or not all(re.fullmatch(r"\s*[0-9]{1,6}\s*", corner) for corner in corners):
        raise InputError(f"{path}: object {number} has no name and whole xmin, ymin, xmax, ymax")
    x0, y0, x1, y1 = map(int, corners)
    if x0 > x1 or y0 > y1:
        raise InputError(f"{path}: object {number} ends before it starts: {x0} {y0} {x1} {y1}")
    return wnid, [x0, y0, x1 + 1, y1 + 1]


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
    _check_size(path, "list")
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
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


def _check_size(path, kind):
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is the data set complete?") from None
    if not os.path.isfile(path) or size > LARGEST[kind]:
        raise InputError(f"{path}: not a file of at most {LARGEST[kind] >> 20} MB, as it should be")

