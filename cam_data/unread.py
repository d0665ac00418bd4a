"""What lies among a set's pictures and is none of them, and lists that no form here reads."""

import glob
import json
import math
import os
import re

from cam_base import InputError, open_regular
from cam_base.terminal import counted
from .list_columns import list_files, read_columns
from .walking import is_picture

MASK = re.compile(r"(?P<of>.+?)[-_. ](masks?|seg|segm|segmentations?|ground[-_ ]?truth|gt|labels?)([-_. ]?[0-9]+)?", re.IGNORECASE)
MASKS = re.compile(r"masks?|segmentations?|segmentationclass|ground[-_ ]?truth|gt|annotations?|labels?", re.IGNORECASE)
LARGEST = 16 << 20  # bytes of a JSON
SEVERAL = 100  # files that are looked into


def masks_beside(folder, pictures):
    """Those of the pictures below a class's folder, (folder, name), that are masks of others.

    x_mask.png, say, beside x.jpg, or x.png in a folder `masks` where x.jpg lies in another of the class.
    """
    stems = [os.path.splitext(name)[0] for _, name in pictures]
    apart = {path for path in {path for path, _ in pictures} if path != folder and MASKS.fullmatch(os.path.basename(path))}
    beside = {(path, stem) for (path, _), stem in zip(pictures, stems)}
    others = {stem for (path, _), stem in zip(pictures, stems) if path not in apart}

    def is_mask(path, stem):
        found = MASK.fullmatch(stem)
        of = found and found["of"]
        return (path, of) in beside or path in apart and (stem in others or of in others)

    return {picture for picture, stem in zip(pictures, stems) if is_mask(picture[0], stem)}


def unread_lists(root):
    """What an error says of lists below `root` that its form does not read, behind all else; "" where there are none."""
    entries = sorted((entry for entry in os.scandir(root) if not entry.name.startswith(".")), key=lambda entry: entry.name)
    folders = [root, *(entry.path for entry in entries if entry.is_dir())]
    loose = [entry.name for entry in entries if is_picture(entry.name)]
    found = []
    if loose:
        found.append(f"{counted(len(loose), 'picture')} such as {loose[0]} lie in the folder itself, and not in one of their class")
    yolo = _first(folders, ("*.txt", "labels/*.txt", "labels/*/*.txt"), _is_yolo)
    if yolo:
        found.append(f"{os.path.relpath(yolo, root)} is YOLO's, whose text files are not read: export COCO or Pascal VOC instead")
    labelme = _first(folders, ("*.json",), _is_labelme)
    if labelme:
        found.append(f"{os.path.relpath(labelme, root)} is LabelMe's, whose files are not read: convert them to COCO or Pascal VOC")
    for path in [path for folder in folders for path in list_files(folder)][:3]:
        columns = read_columns(path)
        if columns and columns.file and columns.label:
            found.append(f"{os.path.relpath(path, root)} is a list: name it by --data")
        elif columns and any(columns.names):
            found.append(f"{os.path.relpath(path, root)} has the columns {', '.join(filter(None, columns.names))[:200]}, and a list those "
                         "called file and label")
    return "".join(f"; {one}" for one in found)


def lists_of_boxes(root):
    """Names of the lists in a folder that have boxes; none of what is no folder."""
    found = [path for path in list_files(root) if (columns := read_columns(path)) and columns.file and columns.box]
    return list(map(os.path.basename, found))


def _first(folders, patterns, is_it):
    places = (os.path.join(glob.escape(folder), pattern) for folder in folders for pattern in patterns)
    return next((path for place in places for path in sorted(glob.glob(place))[:SEVERAL] if is_it(path)), None)


def _is_yolo(path):
    """Whether the first line is a class's number and four numbers or more: a box, or an outline."""
    try:
        with open_regular(path) as file:
            cells = file.readline(1024).split()
        return len(cells) > 4 and cells[0].isdigit() and all(math.isfinite(float(cell)) for cell in cells)
    except (OSError, ValueError, InputError):
        return False


def _is_labelme(path):
    try:
        with open_regular(path, LARGEST) as file:
            contents = json.load(file)
    except (OSError, ValueError, RecursionError, InputError):
        return False
    return isinstance(contents, dict) and isinstance(contents.get("shapes"), list)
