"""The forms of data sets, recognised by looking into their folder."""

import glob
import os

from cam_base import InputError
from .cifar import find_cifar, open_cifar
from .cls_loc import find_cls_loc, open_cls_loc, open_training
from .coco import find_coco, open_coco
from .csv_list import find_list, find_list_of_others, open_list
from .cub import find_cub, open_cub
from .ilsvrc import SOLUTION, open_validation
from .layouts import open_folder
from .not_taken import files_not_taken
from .pascal_voc import find_voc, open_voc
from .picture_set import MissingSplit
from .walking import ENDINGS
from .wsol_metadata import IDS, open_metadata

FIRST = "ILSVRC2012_val_00000001"
# Where ILSVRC's own archives, and Kaggle's, have what belongs together.
KITS = (".", "*devkit*", "*devkit*/*devkit*")
ANNOTATIONS = ("annotations", "Annotations", "Annotations/CLS-LOC/val", "bbox/val", "val-annotations", "xml", ".", "val")
PICTURES = ("val", "Data/CLS-LOC/val", "images", "pictures", ".")


def open_form(root, split):
    """The `split` ("train" or "val") of the data set in folder `root`, whatever its form, as a PictureSet.

    Known are the forms of FORMS, and behind them the layouts of `open_folder`.
    Raises InputError for what is none, or is damaged.
    """
    for recognise, open_it in FORMS:
        found = recognise(root)
        if found:
            return open_it(root, split, found)
    return open_folder(root, split)


def others_in_set(root):
    """{ending: how many files in a data set's folder are neither called like pictures nor of an ending that its form reads}.

    root  a folder of any form; a list, or "synthetic", has none
    """
    if root == "synthetic" or not os.path.isdir(root):  # a list's folder may hold anything
        return {}
    known = next((READ.get(open_it, ()) for recognise, open_it in FORMS if recognise(root)), ())
    if _first(root, (".", "*"), ("wnids.txt",)):  # Tiny ImageNet's layout, maybe within one folder
        known = (".txt",)
    return files_not_taken(root, (*known, *LEFT_BY_SYSTEMS))


def _metadata(root):
    """The folder of metadata beside a folder of images, as Choe et al. lay it out."""
    metadata = os.path.join(root, "metadata")
    return metadata if os.path.isdir(metadata) and os.path.isdir(os.path.join(root, "images")) else None


def _open_metadata(root, split, metadata):
    masks = os.path.join(root, "masks")
    places = {"val": ("val", "test"), "train": ("train-weaksup", "train")}[split]
    # A set of one split has its files in the folder itself.
    for place in (*places, "") if split == "val" else places:
        folder = os.path.join(metadata, place)
        if os.path.exists(os.path.join(folder, IDS)):
            return open_metadata(folder, os.path.join(root, "images"), masks if os.path.isdir(masks) else None, labels_will_do=split == "train")
    raise MissingSplit(f"{metadata}: has no {IDS} for the split {split!r} (looked into {', '.join(places)})")


def _kit(root):
    """(kit, annotations, pictures) of ILSVRC's validation set, or None."""
    kit = _first(root, KITS, ("data/*validation_ground_truth.txt", "*validation_ground_truth.txt"))
    annotations = _first(root, ANNOTATIONS, (f"{FIRST}.xml",))
    pictures = _first(root, PICTURES, [f"{folder}{FIRST}{ending}" for folder in ("", "*/") for ending in (".JPEG", *ENDINGS)])
    return (kit, annotations, pictures) if kit and annotations and pictures else None


def _kaggle(root):
    """(lists, None, pictures) of Kaggle's ILSVRC, or None."""
    lists = _first(root, (".", "kaggle", "*"), (SOLUTION,))
    pictures = lists and _first(root, ("ILSVRC/Data/CLS-LOC/val", *PICTURES), [f"{folder}{FIRST}{ending}" for folder in ("", "*/") for ending in (".JPEG", *ENDINGS)])
    return (lists, None, pictures) if pictures else None


def _first(root, places, patterns):
    """The first of these places below root in which a file is called like one of the patterns."""
    for place in places:
        for folder in sorted(glob.glob(os.path.join(glob.escape(root), place))):
            if any(glob.glob(os.path.join(glob.escape(folder), pattern)) for pattern in patterns):
                return folder
    return None


def _open_kit(root, split, found):
    if split != "val":
        return open_training(root, found)
    return open_validation(*found)


# (a function of the folder that answers what it recognises, or None; a function of the folder, the split and
# that answer to the PictureSet). The first that recognises its form opens it.
FORMS = [(find_list, open_list), (find_cifar, open_cifar), (_metadata, _open_metadata), (_kit, _open_kit), (_kaggle, _open_kit),
         (find_cls_loc, open_cls_loc), (find_cub, open_cub), (find_coco, open_coco), (find_voc, open_voc),
         (find_list_of_others, open_list)]
# Endings of the lists that each reads.
READ = {open_list: (".csv", ".tsv"), open_cifar: (".bin", ".txt", ".html"), _open_metadata: (".txt",), _open_kit: (".txt", ".csv", ".mat", ".xml"),
        open_cls_loc: (".txt", ".csv", ".mat", ".xml"), open_cub: (".txt", "README"), open_coco: (".json",), open_voc: (".xml", ".txt")}
LEFT_BY_SYSTEMS = ("Thumbs.db", "desktop.ini", "README.md")
