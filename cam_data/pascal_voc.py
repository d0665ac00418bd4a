"""Data sets in the form of PASCAL VOC: an XML file with boxes for each picture, in a folder of its own or beside it."""

import glob
import os
import re
from typing import NamedTuple

from cam_base import WNID, Category, InputError, text_lines
from weights.ilsvrc import categories
from .alike import classes_of
from .annotations import read_annotation
from .boxed import Boxed, boxed_set, part_called, undivided
from .picture_set import MissingSplit
from .walking import is_picture

LARGEST_LIST = 16 << 20  # bytes of a list in ImageSets/Main
ROOTS = ("", "VOC[0-9]*", "VOCdevkit/VOC[0-9]*")
ANNOTATIONS = ("Annotations", "annotations", "annotations/xmls", "xmls", "labels")
PICTURES = ("JPEGImages", "images", "Images", "pictures")
# For each split, the lists that may say it, the first that is there.
LISTS = {"train": ("train", "trainval"), "val": ("val", "test")}


class Found(NamedTuple):
    """Where a set lies.

    root    its folder
    parts   {None: (folder of XML, folder of pictures)}, or one such pair for each of "train", "val" and "test"
    lists   {"train" and so on: a file with names}; empty where there are none
    """

    root: str
    parts: dict
    lists: dict


def find_voc(root):
    """What there is of PASCAL's form in a folder, as Found, or None."""
    roots = [path for pattern in ROOTS for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern)))]
    found = [one for one in map(_find_in, roots) if one]
    if len(found) > 1:
        raise InputError(f"{root}: {' and '.join(os.path.relpath(one.root, root) for one in found)} are both in PASCAL VOC's "
                         "form: name one by --data")
    return found[0] if found else None


def open_voc(root, split, found):
    """The `split` as a PictureSet: a row for each picture and class, with all boxes of the class, `difficult` ones too.

    The lists of ImageSets/Main divide it where there are any (validation is `val`, else `test`), or the folders; else a
    tenth, by a checksum of the names, is "val". Objects that are called by wnids are ILSVRC's.
    """
    divided = {part: _names(found, part) for part in ("train", "val")}
    if divided[split] is None:
        raise MissingSplit(f"{found.root}: has no part for the split {split!r} (looked for {' and '.join(LISTS[split])})")
    annotated = {part: _annotated(found, names) for part, names in divided.items() if names}
    classes, numbers = classes_of(found.root, sorted({label for rows in annotated.values() for row in rows for label, *_ in row.objects}))
    words = dict(categories(1000)) if any(map(WNID.fullmatch, classes)) else {}
    rows = [row._replace(objects=[(numbers[label], *rest) for label, *rest in row.objects]) for row in annotated.get(split, [])]
    return boxed_set(found.root, f"{os.path.basename(os.path.abspath(found.root))}/{split}", rows,
                     [Category(label, words.get(label, label)) if WNID.fullmatch(label) else Category(None, label) for label in classes])


def _find_in(root):
    for annotations in ANNOTATIONS:
        if glob.glob(os.path.join(glob.escape(root), annotations, "*.xml")):
            for pictures in PICTURES:
                if os.path.isdir(os.path.join(root, pictures)):
                    lists = {name: path for name in ("train", "val", "trainval", "test")
                             if os.path.isfile(path := os.path.join(root, "ImageSets", "Main", f"{name}.txt"))}
                    return Found(root, {None: (os.path.join(root, annotations), os.path.join(root, pictures))}, lists)
    if _is_flat(root):
        return Found(root, {None: (root, root)}, {})
    parts = {}
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name) if os.path.isdir(root) else []:
        part = entry.is_dir() and part_called(entry.name)
        if part and _is_flat(entry.path):
            parts.setdefault(part, (entry.path, entry.path))
    return Found(root, parts, {}) if parts else None


def _is_flat(folder):
    """Whether pictures lie there with an XML of the same name beside them."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    annotated = {os.path.splitext(name)[0] for name in names if name.lower().endswith(".xml")}
    return any(os.path.splitext(name)[0] in annotated for name in names if is_picture(name))


def _names(found, split):
    """[(folder of XML, folder of pictures, name)] of a split; None where the set has no such part."""
    if None not in found.parts:
        place = found.parts.get(split) or (found.parts.get("test") if split == "val" else None)
        return place and [(*place, name) for name in _annotated_names(place[0])]
    place = found.parts[None]
    listed = next((_read_list(found.lists[name]) for name in LISTS[split] if name in found.lists), None)
    if found.lists and not {"val", "test"} & found.lists.keys():  # one list for all
        listed = undivided(found.root, _read_list(next(iter(found.lists.values()))), split)
    elif listed and split == "train" and "train" not in found.lists and "val" in found.lists:
        kept = set(_read_list(found.lists["val"]))
        listed = [name for name in listed if name not in kept]
    elif not found.lists:
        listed = undivided(found.root, _annotated_names(place[0]), split)
    return None if listed is None else [(*place, name) for name in listed]


def _annotated_names(folder):
    return sorted(os.path.splitext(name)[0] for name in os.listdir(folder) if name.lower().endswith(".xml") and not name.startswith("."))


def _read_list(path):
    """The names in a list: its lines, which may have spaces; without the 1, 0 or -1 where, as in a class's own list, each has one behind it."""
    lines = [line.strip() for line in text_lines(path, LARGEST_LIST) if line.strip()]
    flagged = [re.fullmatch(r"(.*\S)\s+-?[01]", line) for line in lines]
    names = list(dict.fromkeys([found[1] for found in flagged] if all(flagged) else lines))
    for name in names:
        if "/" in name or "\\" in name or "\0" in name or name in (".", ".."):
            raise InputError(f"{path}: {name[:80]!r} is not the name of a picture")
    if not names:
        raise InputError(f"{path}: lists no pictures")
    return names


def _annotated(found, names):
    """Boxed for each name; the picture is the one of the same name, whatever the XML says of it, which often is a path of elsewhere."""
    pictures = {folder: _pictures_in(folder) for _, folder in found.parts.values()}
    rows = []
    for annotations, folder, name in names:
        path = os.path.join(annotations, name)
        annotated = read_annotation(f"{path}.XML" if os.path.exists(f"{path}.XML") else f"{path}.xml", pascal=True)
        file = pictures[folder].get(name, f"{name}.jpg")
        rows.append(Boxed(file, os.path.join(folder, file), annotated.objects, annotated.size))
    return rows


def _pictures_in(folder):
    """{name without ending: name} of the pictures in a folder; InputError where there are none."""
    found = {os.path.splitext(name)[0]: name for name in sorted(os.listdir(folder)) if is_picture(name)}
    if not found:
        raise InputError(f"{folder}: no pictures in this folder")
    return found
