"""Data sets in the form of COCO: one JSON file with images, annotations and categories (Lin et al., ECCV 2014)."""

import glob
import json
import os
import re
from typing import NamedTuple

from cam_base import Category, InputError, open_regular
from cam_base.files import is_utf8
from cam_base.terminal import counted, say
from .alike import called
from .boxed import Boxed, boxed_set, outward, part_called
from .layouts import is_held_out
from .paths import plain_path
from .picture_set import MissingSplit

# Bytes. instances_val2017.json has 20 million, instances_train2017.json 448 million; in memory a file made to harm takes twenty times as much.
LARGEST = 64 << 20
LARGEST_ID = 1 << 53  # beyond it, numbers can be chosen that one dictionary takes hours for
KEYS = ("images", "annotations", "categories")
# Of each kind of object in a file; all else, such as outlines, is dropped as it is read.
FIELDS = {"images", "annotations", "categories", "id", "file_name", "width", "height", "image_id", "category_id", "bbox", "iscrowd",
          "name", "supercategory"}
FOLDERS = ("", "images", "pictures", "Images", "data")  # where pictures lie, seen from the set's folder
MOST = (1 << 20) - 1  # pixels of a side


class Found(NamedTuple):
    """Where a set lies: its folder, and {"train", "val", "test", or None for an undivided set: (JSON, folders that may have its pictures)}."""

    root: str
    parts: dict


def find_coco(root):
    """What there is of COCO's form in a folder, or the JSON file itself, as Found, or None."""
    if os.path.isfile(root):
        folder = os.path.dirname(os.path.abspath(root))
        return Found(root, {None: (root, _folders(folder, root))}) if root.lower().endswith(".json") and _is_coco(root) else None
    if not os.path.isdir(root):
        return None
    parts = {}
    for path in _json_files(root, "annotations") or _json_files(root, ""):
        _add(parts, root, _part_of(path), path, _folders(root, path))
    for entry in [] if parts else sorted(os.scandir(root), key=lambda entry: entry.name):
        if part_called(entry.name) and entry.is_dir():
            for path in _json_files(entry.path, ""):
                _add(parts, root, part_called(entry.name), path, [entry.path, os.path.join(entry.path, "images")])
    return Found(root, parts) if parts else None


def open_coco(root, split, found):
    """The `split` as a PictureSet: a row for each picture and category, with all boxes of the category but those of crowds.

    Boxes, [x, y, width, height] from 0 in decimals, are rounded outward to whole pixels. Those without a pixel of their
    picture, of which COCO's training set has some, are left out and counted. Classes are the categories in the order of
    their ids, pictures or not; but not what names the kind of all others, as Roboflow's first does.
    """
    part = split if split in found.parts else "test" if split == "val" and "test" in found.parts else None
    if part not in found.parts:
        raise MissingSplit(f"{found.root}: has no JSON in COCO's form for the split {split!r}")
    path, folders = found.parts[part]
    contents = _read(path)
    categories, numbers = _categories(path, contents["categories"])
    pictures = _images(path, contents["images"], folders)
    if part is None and not os.path.isfile(root):
        pictures = {key: picture for key, picture in pictures.items() if is_held_out(picture.name) == (split == "val")}
    crowds = _add_boxes(path, contents, pictures, numbers)
    if crowds:
        say(f"{path}: left out {counted(crowds, 'crowd')} (iscrowd)")
    name = f"{os.path.basename(os.path.abspath(root))}/{split}"
    return boxed_set(path, name, list(pictures.values()), categories, outside="count", sized=True)


def _json_files(root, folder):
    """Those in COCO's form with boxes; in a folder with several, those called instances_* where there are any."""
    found = sorted(glob.glob(os.path.join(glob.escape(root), folder, "*.json")))
    instances = [path for path in found if os.path.basename(path).startswith("instances")]
    return [path for path in instances or found if _is_coco(path)]


def _add(parts, root, part, path, folders):
    if part in parts or None in parts or part is None and parts:
        first = next(iter(parts.values()))[0] if part not in parts else parts[part][0]
        raise InputError(f"{root}: {os.path.relpath(first, root)} and {os.path.relpath(path, root)} are both lists in COCO's form, and "
                         "their names do not say which is for train and which for val: name one by --data")
    parts[part] = (path, folders)


def _part_of(path):
    """The split by the file's name: "val" of instances_val2017.json."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return part_called(stem) or next(filter(None, map(part_called, re.split("[-_.]", stem))), None)


def _folders(root, path):
    """Where the pictures of a JSON may lie: in the folder that is called like its last part, as in instances_val2017, or in usual ones."""
    root, last = os.path.abspath(root), re.split("[-_]", os.path.splitext(os.path.basename(path))[0])[-1]
    up = os.path.dirname(root) if os.path.basename(root) == "annotations" else root
    named = [os.path.join(up, *place, last) for place in ([], ["images"])]
    part = _part_of(path)
    called = [entry.path for entry in sorted(os.scandir(up), key=lambda entry: entry.name) if part and part_called(entry.name) == part]
    return named + called + [os.path.join(up, folder) for folder in FOLDERS]


def _is_coco(path):
    """Whether the three keys are in the file; of one that is too large to be read, whether any is at its beginning or end."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST:
                start = file.read(1 << 16)
                file.seek(size - (1 << 16))
                return any(f'"{key}"'.encode() in start + file.read(1 << 16) for key in KEYS)
            text = file.read()
            return all(f'"{key}"'.encode() in text for key in KEYS)
    except (OSError, InputError):
        return False


def _read(path):
    """{key: list of dictionaries} of the file's three lists."""
    def kept(pairs):
        return {key: value for key, value in pairs if key in FIELDS}

    try:
        with open_regular(path, LARGEST) as file:
            contents = json.loads(file.read().decode("utf-8-sig"), object_pairs_hook=kept)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON that can be read ({str(error)[:80]})") from None
    for key in KEYS:
        if not isinstance(contents, dict) or not isinstance(contents.get(key), list) or not all(isinstance(one, dict) for one in contents[key]):
            raise InputError(f"{path}: has no list of {key}; COCO's form has {', '.join(KEYS)}")
    return contents


def _key(path, what, number, value):
    """An id: a whole number, or a text as some programs write it."""
    if isinstance(value, bool) or not isinstance(value, (int, str)) or isinstance(value, int) and abs(value) > LARGEST_ID:
        raise InputError(f"{path}: {what} {number} has no id")
    return value


def _categories(path, listed):
    """(Category of each class, {id: its number})."""
    names = {}
    for number, one in enumerate(listed, 1):
        key, name = _key(path, "category", number, one.get("id")), one.get("name")
        if not isinstance(name, str) or not name.strip() or "\0" in name or not is_utf8(name) or key in names:
            raise InputError(f"{path}: category {number} has no name, or the id of another")
        names[key] = name.strip()
    above = {one.get("supercategory") for one in listed if isinstance(one.get("supercategory"), str)}
    roots = {one["id"] for one in listed if one.get("supercategory") == "none" and one["name"] in above}
    order = sorted(names.keys() - roots, key=lambda key: (isinstance(key, str), key))
    if len({names[key] for key in order}) < len(order):
        raise InputError(f"{path}: two categories have the same name")
    classes = called(path, [names[key] for key in order])
    numbers = {name: number for number, name in enumerate(dict.fromkeys(classes.values()))}
    return [Category(None, name) for name in numbers], {key: numbers[classes[names[key]]] for key in order}


def _images(path, listed, folders):
    """{id: Boxed, without objects so far}."""
    folders = list(dict.fromkeys(folder for folder in folders if os.path.isdir(folder)))
    pictures = {}
    for number, one in enumerate(listed, 1):
        key, name = _key(path, "image", number, one.get("id")), one.get("file_name")
        name = plain_path(name) if isinstance(name, str) else None
        if name is None or key in pictures:
            raise InputError(f"{path}: image {number} has no file_name below the folder of pictures, or the id of another")
        size = (one.get("width"), one.get("height"))
        known = all(type(side) is int and 0 < side <= MOST for side in size)
        pictures[key] = Boxed(name, _find(name, folders) or os.path.join(os.path.dirname(path), name), [], size if known else None)
    return pictures


def _find(name, folders):
    """The first of these folders that has the picture, which comes first for the next one."""
    for place, folder in enumerate(folders):
        if os.path.exists(os.path.join(folder, name)):
            folders.insert(0, folders.pop(place))
            return os.path.join(folder, name)
    return None


def _add_boxes(path, contents, pictures, numbers):
    """Give the pictures their objects; returns how many crowds were left out."""
    known, crowds = {one["id"] for one in contents["images"]}, 0
    for number, one in enumerate(contents["annotations"], 1):
        picture, category, box = one.get("image_id"), one.get("category_id"), one.get("bbox")
        if not isinstance(picture, (int, str)) or picture not in known or not isinstance(category, (int, str)) or category not in numbers:
            raise InputError(f"{path}: annotation {number} is of an image or a category that the file has not")
        if picture not in pictures:
            continue
        if one.get("iscrowd"):
            crowds += 1
            continue
        try:
            x, y, width, height = (float(value) for value in box)
            if width < 0 or height < 0:
                raise ValueError
            box = outward(x, y, x + width, y + height)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{path}: annotation {number} has no bbox of four numbers, x, y, width and height") from None
        pictures[picture].objects.append((numbers[category], box, False))
    return crowds
