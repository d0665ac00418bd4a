"""ILSVRC's CLS-LOC folders to train on: a folder for each class, and flat validation pictures with annotations."""

import os

import numpy as np

from cam_base import WNID, Category, InputError
from weights.ilsvrc import categories
from .annotations import read_annotation
from .folder_index import indexed
from .ilsvrc import CLASSES, kit_wnids
from .picture_set import MissingSplit, PictureSet
from .upright import upright_boxes
from .walking import below, is_picture, walk_pictures

PICTURES, ANNOTATIONS = os.path.join("Data", "CLS-LOC"), os.path.join("Annotations", "CLS-LOC", "val")


def find_cls_loc(root):
    """The folder, `root` or ILSVRC within it, with Data/CLS-LOC/train and validation pictures that XML files speak of; or None."""
    for base in (root, os.path.join(root, "ILSVRC")):
        if os.path.isdir(os.path.join(base, PICTURES, "train")) and os.path.isdir(os.path.join(base, ANNOTATIONS)):
            return base
    return None


def open_cls_loc(root, split, base):
    """Without a kit: the classes are the folders of train/, in the alphabet's order; those of the validation pictures are
    their annotations' first object's. Raises InputError for a picture without an annotation, or of another class."""
    folder = os.path.join(base, PICTURES, "train")
    wnids = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and WNID.fullmatch(entry.name))
    return _training(folder, wnids) if split == "train" else _validation(base, wnids)


def open_training(root, kit):
    """The training pictures beside those of a kit (kit, annotations, validation pictures), with the kit's order of classes."""
    lists, _, validation = kit
    for folder in (os.path.join(os.path.dirname(os.path.abspath(validation)), "train"), os.path.join(root, "train")):
        if os.path.isdir(folder):
            return _training(folder, kit_wnids(lists))
    raise MissingSplit(f"{root}: of ILSVRC's kit only the validation pictures can be judged (split 'val'): there is "
                       "no folder train beside them")


def _training(folder, wnids):
    files, labels = [], []
    with indexed(folder):
        for label, wnid in enumerate(wnids):
            for path, names in walk_pictures(os.path.join(folder, wnid)):
                files += [os.path.join(path, name) for name in names]
                labels += [label] * len(names)
    if not files:
        raise InputError(f"{folder}: has no pictures in folders of the kit's classes, such as {', '.join(wnids[:1]) or 'n01440764'}")
    inside = os.path.join(folder, "")
    return PictureSet("ILSVRC CLS-LOC/train", _categories(wnids), np.array(labels, np.int32), files, ids=[below(inside, file) for file in files])


def _validation(base, wnids):
    folder, numbers = os.path.join(base, PICTURES, "val"), {wnid: label for label, wnid in enumerate(wnids)}
    try:
        files = sorted(entry.name for entry in os.scandir(folder) if is_picture(entry.name))
    except OSError as error:
        kind = MissingSplit if isinstance(error, FileNotFoundError) else InputError
        raise kind(f"{folder}: {error.strerror}; is the data set complete?") from None
    labels, boxes, sizes, clipped = [], [], [], []
    for file in files:
        path = os.path.join(base, ANNOTATIONS, os.path.splitext(file)[0] + ".xml")
        objects, size = read_annotation(path)
        if not objects or objects[0][0] not in numbers:
            raise InputError(f"{path}: names no object of a class that train/ has a folder for")
        mine = [(box, cut) for wnid, box, cut in objects if wnid == objects[0][0]]
        labels.append(numbers[objects[0][0]])
        boxes.append(np.array([box for box, _ in mine], np.int32))
        sizes.append(size)
        clipped.append(sum(cut for _, cut in mine))
    if not files:
        raise InputError(f"{folder}: no pictures in this folder")
    ids, files = [os.path.splitext(file)[0] for file in files], [os.path.join(folder, file) for file in files]
    boxes, _ = upright_boxes(folder, files, sizes, boxes)
    return PictureSet("ILSVRC CLS-LOC/val", _categories(wnids), np.array(labels, np.int32), files, boxes, ids=ids,
                      clipped=np.array(clipped, np.int64))


def _categories(wnids):
    words = dict(categories(CLASSES))
    return [Category(wnid, words.get(wnid, wnid)) for wnid in wnids]
