"""CUB-200-2011 as its authors publish it (Wah et al., 2011): lists of pictures, classes and boxes by the pictures' numbers."""

import os
import re

from cam_base import Category, InputError, text_lines
from .boxed import Boxed, boxed_set, outward
from .paths import plain_path

LARGEST = 16 << 20  # bytes of a list
IMAGES, LABELS, BOXES, CLASSES, SPLITS = ("images.txt", "image_class_labels.txt", "bounding_boxes.txt", "classes.txt", "train_test_split.txt")


def find_cub(root):
    """The folder with the five lists, this one or CUB_200_2011 below it; None where there is none."""
    for folder in (root, os.path.join(root, "CUB_200_2011")):
        if all(os.path.isfile(os.path.join(folder, name)) for name in (IMAGES, LABELS, BOXES, CLASSES, SPLITS)):
            return folder
    return None


def open_cub(root, split, folder):
    """The `split` as a PictureSet; "val" is what train_test_split.txt calls 0, its test pictures.

    Boxes are x, y, width and height from 0, as Choe et al. (CVPR 2020) take them; decimals are rounded outward.
    "001.Black_footed_Albatross" is the class "Black footed Albatross".
    """
    names = _pairs(folder, CLASSES)
    numbers = {key: place for place, key in enumerate(names)}
    categories = [Category(None, re.sub(r"^[0-9]+\.", "", name).replace("_", " ")) for name in names.values()]
    labels, parts, boxes = _pairs(folder, LABELS), _pairs(folder, SPLITS), _pairs(folder, BOXES)
    rows = []
    for key, name in _pairs(folder, IMAGES).items():
        path = plain_path(name)
        if path is None:
            raise InputError(f"{os.path.join(folder, IMAGES)}: {name[:80]!r} is no path below images/")
        if parts.get(key) not in ("0", "1") or labels.get(key) not in numbers or key not in boxes:
            raise InputError(f"{folder}: picture {key} has no class of {CLASSES} in {LABELS}, no box in {BOXES}, or neither 0 nor 1 in {SPLITS}")
        if parts[key] == ("1" if split == "train" else "0"):
            rows.append(Boxed(path, os.path.join(folder, "images", path), [(numbers[labels[key]], _box(folder, key, boxes[key]), False)]))
    return boxed_set(folder, f"{os.path.basename(os.path.abspath(folder))}/{split}", rows, categories)


def _box(folder, key, text):
    try:
        x, y, width, height = map(float, text.split())
        if not (width > 0 and height > 0):
            raise ValueError
        return outward(x, y, x + width, y + height)
    except ValueError:
        raise InputError(f"{os.path.join(folder, BOXES)}: {text[:40]!r} of picture {key} is not x, y, width and height") from None


def _pairs(folder, name):
    """{number of the first column, as it is written: the rest of the line}."""
    path = os.path.join(folder, name)
    found = {}
    for number, line in enumerate(text_lines(path, LARGEST), 1):
        key, _, rest = line.strip().partition(" ")
        if not line.strip():
            continue
        if not re.fullmatch("[0-9]{1,9}", key) or not rest.strip() or found.setdefault(key, rest.strip()) != rest.strip():
            raise InputError(f"{path}, line {number}: not a number and what belongs to it, or another thing than before")
    if not found:
        raise InputError(f"{path}: lists nothing")
    return found
