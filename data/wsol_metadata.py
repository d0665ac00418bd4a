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

from ops.score_maps import SIZE, resize_nearest
from weights import InputError

LARGEST = 256 << 20  # bytes of a metadata file
IDS, LABELS, SIZES, PLACES = "image_ids.txt", "class_labels.txt", "image_sizes.txt", "localization.txt"


class Metadata(NamedTuple):
    """A split.

    image_ids  paths of the pictures below the folder of the data, in order
    labels     int [n], from 0
    sizes      int [n, 2], width and height; None without image_sizes.txt
    boxes      n int arrays [m, 4]: x0, y0, x1, y1 in pixels, half-open; None
               when the objects are given as masks
    masks      n tuples (paths of the masks of the picture's objects, path of what
               to ignore or ""), below the folder of the masks; None for boxes
    """

    image_ids: list
    labels: np.ndarray
    sizes: np.ndarray | None
    boxes: list | None
    masks: list | None


def read_metadata(folder):
    """The metadata of a split.

    folder   holds image_ids.txt and class_labels.txt; image_sizes.txt, which boxes
             need; and localization.txt, with a box or a mask a line
    returns  Metadata
    raises   InputError naming the file and the line that are not as they should be
    """
    image_ids = [row[0] for _, row in _rows(folder, IDS, [1])]
    number = {image_id: index for index, image_id in enumerate(image_ids)}
    if not image_ids or len(number) < len(image_ids):
        raise InputError(f"{os.path.join(folder, IDS)}: "
                         + ("a picture is listed twice" if image_ids else "lists no picture"))
    labels = _of_each(folder, LABELS, 1, number)[:, 0]
    rows = [(line, row) for line, row in _rows(folder, PLACES, [3, 5]) if row[0] in number]
    if not rows:
        raise InputError(f"{os.path.join(folder, PLACES)}: has no line for a picture of {IDS}")
    boxes = masks = None
    if len(rows[0][1]) == 5:
        boxes = _boxes(folder, rows, number)
    else:
        masks = _masks(folder, rows, number)
    has_sizes = boxes is not None or os.path.exists(os.path.join(folder, SIZES))
    sizes = _of_each(folder, SIZES, 2, number) if has_sizes else None
    if sizes is not None and not sizes.all():
        raise InputError(f"{os.path.join(folder, SIZES)}: a picture has no width or no height")
    return Metadata(image_ids, labels, sizes, boxes, masks)


def read_mask(masks, folder, read_picture, size=SIZE):
    """Where the objects of a picture are, and what to ignore, at the protocol's size.

    masks         one entry of `Metadata.masks`
    folder        of the masks
    read_picture  function of a path to uint8 [H, W, 3], such as `data.read_picture`
    returns       (mask, ignore), bool [size, size]: what is ignored is never mask
    """
    paths, ignored = masks

    def read(path):
        return resize_nearest(read_picture(os.path.join(folder, path))[..., 0], (size, size)) > 0

    mask = np.any([read(path) for path in paths], axis=0)
    return mask, (read(ignored) if ignored else np.zeros_like(mask)) & ~mask


def _boxes(folder, rows, number):
    boxes = [[] for _ in number]
    for line, (image_id, *corners) in rows:
        if len(corners) != 4:
            raise _error(folder, PLACES, line, "has no box though the first line has one")
        x0, y0, x1, y1 = _whole(folder, PLACES, line, corners)
        if x0 > x1 or y0 > y1:
            raise _error(folder, PLACES, line, f"the box ends before it starts: {','.join(corners)}")
        boxes[number[image_id]].append([x0, y0, x1 + 1, y1 + 1])
    _all_found(folder, PLACES, boxes, number)
    return [np.array(of_one, np.int64) for of_one in boxes]


def _masks(folder, rows, number):
    """The published form names what to ignore beside a picture's first mask only."""
    masks, ignored = [[] for _ in number], [""] * len(number)
    for line, (image_id, *paths) in rows:
        if len(paths) != 2:
            raise _error(folder, PLACES, line, "has no two masks though the first line has them")
        if not paths[0] or not all(_is_below(path) for path in paths if path):
            raise _error(folder, PLACES, line, "names a mask that is not below the folder of masks")
        masks[number[image_id]].append(paths[0])
        if paths[1]:
            ignored[number[image_id]] = paths[1]
    _all_found(folder, PLACES, masks, number)
    return list(zip(map(tuple, masks), ignored))


def _of_each(folder, name, columns, number):
    """int [n, columns]: the whole numbers that a file gives for each picture."""
    found = [None] * len(number)
    for line, (image_id, *values) in _rows(folder, name, [1 + columns]):
        if image_id in number:
            found[number[image_id]] = _whole(folder, name, line, values)
    _all_found(folder, name, found, number)
    return np.array(found, np.int64)


def _all_found(folder, name, found, number):
    for image_id, index in number.items():
        if not found[index]:
            raise InputError(f"{os.path.join(folder, name)}: has no line for {image_id[:80]!r}, "
                             f"which {IDS} lists")


def _whole(folder, name, line, values):
    if not all(re.fullmatch(r"[0-9]{1,9}", value) for value in values):
        raise _error(folder, name, line, f"{','.join(values)[:40]!r} are not whole numbers")
    return list(map(int, values))


def _is_below(path):
    return not os.path.isabs(path) and ".." not in path.split("/") and "\0" not in path


def _rows(folder, name, widths):
    """(line number, fields) of the lines of a file, which start with a picture's path."""
    path = os.path.join(folder, name)
    try:
        if os.path.getsize(path) > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST >> 20} MB, which no metadata is")
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a metadata folder has {IDS}, {LABELS}, "
                         f"{SIZES} and {PLACES}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None
    for line, text in enumerate(lines, 1):
        fields = text.split(",")
        if len(fields) not in widths:
            raise _error(folder, name, line, f"has {len(fields)} fields, not "
                                             + " or ".join(map(str, widths)))
        if not fields[0] or not _is_below(fields[0]):
            raise _error(folder, name, line, f"{fields[0][:80]!r} is no path below the pictures' folder")
        yield line, fields


def _error(folder, name, line, message):
    return InputError(f"{os.path.join(folder, name)}, line {line}: {message}")
