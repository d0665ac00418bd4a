"""Data sets by the metadata form of the WSOL protocol (Choe et al., CVPR 2020).

One folder a split holds image_ids.txt, class_labels.txt, image_sizes.txt and
localization.txt, with comma-separated fields; CUB-200-2011, ImageNetV2 and
OpenImages30k are published so. Boxes there hold their last pixel; ours are
half-open.
"""

import os
import re
from typing import NamedTuple

import numpy as np

from cam_base import WNID, Category, InputError, text_lines
from metrics.score_maps import SIZE
from ops.resize import resize_nearest
from weights.ilsvrc import categories
from .decoding import read_values
from .paths import plain_path
from .picture_set import PictureSet, cut_box
from .upright import upright_boxes
from .walking import pictures_below

LARGEST = 256 << 20  # bytes of a metadata file
IDS, LABELS, SIZES, PLACES = "image_ids.txt", "class_labels.txt", "image_sizes.txt", "localization.txt"
NAMES = "class_names.txt"
MOST_CLASSES = 100_000


class Metadata(NamedTuple):
    """A split.

    image_ids  paths of the pictures below the folder of the data, in order
    labels     int [n], from 0
    sizes      int [n, 2], width and height; None without image_sizes.txt
    boxes      n int arrays [m, 4]: x0, y0, x1, y1 in pixels, half-open; None
               when the objects are given as masks
    masks      n tuples (paths of the masks of the picture's objects, path of what
               to ignore or ""), below the folder of the masks; None for boxes
    clipped    int [n]: how many of a picture's boxes stuck out of it and were cut at its
               border; None for masks
    """

    image_ids: list
    labels: np.ndarray
    sizes: np.ndarray | None
    boxes: list | None
    masks: list | None
    clipped: np.ndarray | None


def read_metadata(folder, labels_will_do=False):
    """The metadata of a split.

    folder   holds image_ids.txt and class_labels.txt; image_sizes.txt, which boxes
             need and which may be empty beside masks; and localization.txt, with a box
             or a mask a line
    labels_will_do  localization.txt may be missing, as where there is nothing but labels to train on
    returns  Metadata
    raises   InputError naming the file and the line that are not as they should be, and
             both lines where two contradict each other
    """
    number = _numbered(folder)
    labels = _of_each(folder, LABELS, 1, number)[:, 0]
    if labels_will_do and not os.path.exists(os.path.join(folder, PLACES)):
        return Metadata(list(number), labels, None, None, None, None)
    rows = [(line, row) for line, row in _rows(folder, PLACES, [3, 5]) if row[0] in number]
    if not rows:
        raise InputError(f"{os.path.join(folder, PLACES)}: has no line for a picture of {IDS}")
    boxes = clipped = masks = None
    if len(rows[0][1]) == 5:
        sizes = _sizes(folder, number)
        boxes, clipped = _boxes(folder, rows, number, sizes)
    else:
        masks = _masks(folder, rows, number)
        sizes = _sizes(folder, number) if _has_sizes(folder) else None
    return Metadata(list(number), labels, sizes, boxes, masks, clipped)


def open_metadata(folder, pictures=None, masks=None, labels_will_do=False):
    """A split as a PictureSet, with boxes or with masks.

    folder    of the metadata, see `read_metadata`
    pictures  folder that image_ids.txt's paths start from; files may have another
              usual ending. None: they are not needed
    masks     folder that the masks' paths start from; None: the pictures'
    labels_will_do  of `read_metadata`
    raises    InputError as `read_metadata` does, or when a mask or every picture is missing

    Classes are numbers there. Their names are the lines of class_names.txt where the
    folder has one (a wnid, words, or both with a tab between); else the names of the
    pictures' own folders where each class has one and no two the same; else ILSVRC's,
    in the order of their wnids, where there are a thousand; else their numbers.
    """
    metadata = read_metadata(folder, labels_will_do)
    name = os.path.join(*os.path.abspath(folder).split(os.sep)[-2:])
    files, boxes = _files(pictures, metadata.image_ids), metadata.boxes
    sizes = None if metadata.sizes is None else metadata.sizes[:, ::-1]
    if boxes and pictures:
        boxes, found = upright_boxes(folder, files, list(map(tuple, metadata.sizes.tolist())), boxes)
        sizes = np.array(found)[:, ::-1]
    return PictureSet(name, _categories(folder, metadata), metadata.labels.astype(np.int32), files, boxes, ids=metadata.image_ids, sizes=sizes,
                      masks=metadata.masks and _mask_reader(metadata.masks, masks or pictures),
                      clipped=metadata.clipped)


def _files(folder, image_ids):
    """The pictures' files; the path as it stands for one that is missing alone."""
    if folder is None:
        return image_ids
    found = pictures_below(folder)
    files = [os.path.join(folder, image_id) for image_id in image_ids]
    files = [file if os.path.exists(file) else found.get(os.path.splitext(image_id)[0], file)
             for image_id, file in zip(image_ids, files)]
    if not any(map(os.path.exists, files)):
        raise InputError(f"{files[0]}: no such picture, nor any other that the metadata names")
    return files


def _mask_reader(masks, folder):
    if folder is None:
        raise InputError("the metadata has masks: name their folder with --masks")
    paths = {path for of_one, ignored in masks for path in (*of_one, ignored) if path}
    missing = sorted(path for path in paths if not os.path.isfile(os.path.join(folder, path)))
    if missing:
        raise InputError(f"{os.path.join(folder, missing[0])}: no such mask; {len(missing)} of {len(paths)} are missing")
    return lambda row: read_mask(masks[row], folder, read_values)


def _categories(folder, metadata):
    """A Category for each number, see `open_metadata`."""
    count = int(metadata.labels.max()) + 1
    if count > MOST_CLASSES:
        raise InputError(f"{os.path.join(folder, LABELS)}: has a class {count - 1}; labels are numbers from 0")
    if os.path.exists(os.path.join(folder, NAMES)):
        names = _text(folder, NAMES)
        if len(names) < count:
            raise InputError(f"{os.path.join(folder, NAMES)}: names {len(names)} classes, not {count}")
        return list(map(_category, names))
    names = _folder_names(metadata)
    if len(names) == len(set(names.values())) and not all(name.isdigit() for name in names.values()):
        return [_category(names.get(number, str(number))) for number in range(count)]
    return categories(1000) if count == 1000 else [Category(None, str(number)) for number in range(count)]


def _folder_names(metadata):
    """{class: name of the one folder that its pictures are in}; empty when a class has several."""
    names = {}
    for image_id, label in zip(metadata.image_ids, metadata.labels.tolist()):
        if names.setdefault(label, image_id.split("/")[-2:-1]) != image_id.split("/")[-2:-1]:
            return {}
    return {label: name[0] for label, name in names.items() if name}


def _category(name):
    wnid, _, words = name.partition("\t")
    return Category(wnid, words or wnid) if WNID.fullmatch(wnid) else Category(None, name)


def read_mask(masks, folder, read_picture, size=SIZE):
    """Where the objects of a picture are, and what to ignore, at the protocol's size.

    A pixel belongs to a mask when any of its colours is not 0, whether the file is
    grey, RGB or has a palette; an alpha channel counts for nothing. The protocol
    makes grey of the colours first, and asks whether that is 1 or more of 255: the
    same but for the darkest colours (a blue of up to 4, a red of 1).

    masks         one entry of `Metadata.masks`
    folder        of the masks
    read_picture  function of a path to uint8 [H, W, 3], such as `cam_data.read_values`
    returns       (mask, ignore), bool [size, size]: what is ignored is never mask
    """
    paths, ignored = masks

    def read(path):
        return resize_nearest(read_picture(os.path.join(folder, path)).any(-1), size)

    mask = np.any([read(path) for path in paths], axis=0)
    return mask, (read(ignored) if ignored else np.zeros_like(mask)) & ~mask


def _numbered(folder):
    """{image id: its place} of image_ids.txt, in order."""
    lines = {}
    for line, (image_id,) in _rows(folder, IDS, [1]):
        if image_id in lines:
            raise _error(folder, IDS, line,
                         f"{image_id[:80]!r} is listed twice, the first time in line {lines[image_id]}")
        lines[image_id] = line
    if not lines:
        raise InputError(f"{os.path.join(folder, IDS)}: lists no picture")
    return {image_id: index for index, image_id in enumerate(lines)}


def _has_sizes(folder):
    return os.path.exists(os.path.join(folder, SIZES)) and any(map(str.strip, _text(folder, SIZES)))


def _sizes(folder, number):
    sizes = _of_each(folder, SIZES, 2, number)
    if not sizes.all():
        raise InputError(f"{os.path.join(folder, SIZES)}: a picture has no width or no height")
    return sizes


def _boxes(folder, rows, number, sizes):
    """(boxes of each picture, how many of them were cut at its border)."""
    boxes, clipped = [[] for _ in number], np.zeros(len(number), np.int64)
    for line, (image_id, *corners) in rows:
        if len(corners) != 4:
            raise _error(folder, PLACES, line, "has no box though the first line has one")
        x0, y0, x1, y1 = _whole(folder, PLACES, line, corners, "-?")
        if x0 > x1 or y0 > y1:
            raise _error(folder, PLACES, line, f"the box ends before it starts: {','.join(corners)}")
        place = number[image_id]
        box, size = [x0, y0, x1 + 1, y1 + 1], sizes[place].tolist()
        inside = cut_box(box, size)
        if inside is None:
            raise _error(folder, PLACES, line, f"the box {','.join(corners)} lies outside of the picture, "
                                               f"which {SIZES} says has {size[0]} x {size[1]} pixels")
        boxes[place].append(inside)
        clipped[place] += inside != box
    _all_found(folder, PLACES, boxes, number)
    return [np.array(of_one, np.int64) for of_one in boxes], clipped


def _masks(folder, rows, number):
    """The published form names what to ignore beside a picture's first mask only."""
    masks, ignored = [[] for _ in number], [("", 0)] * len(number)
    for line, (image_id, *paths) in rows:
        if len(paths) != 2:
            raise _error(folder, PLACES, line, "has no two masks though the first line has them")
        if not paths[0] or not all(plain_path(path) for path in paths if path):
            raise _error(folder, PLACES, line, "names a mask that is not below the folder of masks")
        place = number[image_id]
        masks[place].append(paths[0])
        if paths[1]:
            before, at = ignored[place]
            if before not in ("", paths[1]):
                raise _error(folder, PLACES, line,
                             f"ignores {paths[1]} of a picture of which line {at} ignores {before}")
            ignored[place] = paths[1], line
    _all_found(folder, PLACES, masks, number)
    return [(tuple(of_one), path) for of_one, (path, _) in zip(masks, ignored)]


def _of_each(folder, name, columns, number):
    """int [n, columns]: the whole numbers that a file gives for each picture."""
    found, lines = [None] * len(number), [0] * len(number)
    for line, (image_id, *texts) in _rows(folder, name, [1 + columns]):
        if image_id not in number:
            continue
        place, values = number[image_id], _whole(folder, name, line, texts)
        if found[place] not in (None, values):
            raise _error(folder, name, line, f"says {','.join(texts)} of {image_id[:80]!r}, and line "
                                             f"{lines[place]} says {','.join(map(str, found[place]))}")
        found[place], lines[place] = values, line
    _all_found(folder, name, found, number)
    return np.array(found, np.int64)


def _all_found(folder, name, found, number):
    for image_id, index in number.items():
        if not found[index]:
            raise InputError(f"{os.path.join(folder, name)}: has no line for {image_id[:80]!r}, "
                             f"which {IDS} lists")


def _whole(folder, name, line, values, sign=""):
    if not all(re.fullmatch(sign + "[0-9]{1,9}", value) for value in values):
        raise _error(folder, name, line, f"{','.join(values)[:40]!r} are not whole numbers")
    return list(map(int, values))


def _rows(folder, name, widths):
    """(line number, fields) of the lines of a file, which start with a picture's path."""
    for line, text in enumerate(_text(folder, name), 1):
        fields = text.replace("\\", "/").split(",")  # as Windows writes paths
        if len(fields) not in widths:
            raise _error(folder, name, line, f"has {len(fields)} fields, not "
                                             + " or ".join(map(str, widths)))
        if not plain_path(fields[0]):
            raise _error(folder, name, line, f"{fields[0][:80]!r} is no path below the pictures' folder")
        yield line, fields


def _text(folder, name):
    """The lines of a file."""
    return text_lines(os.path.join(folder, name), LARGEST, f"; a metadata folder has {IDS}, {LABELS}, {SIZES} and {PLACES}")


def _error(folder, name, line, message):
    return InputError(f"{os.path.join(folder, name)}, line {line}: {message}")
