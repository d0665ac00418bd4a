"""From pictures with boxes of one class or of several to a PictureSet: a row for each picture and each of its classes."""

import math
import os
import re
from typing import NamedTuple

import numpy as np

from cam_base import InputError
from cam_base.terminal import counted, say
from .layouts import CALLED, HOLD_OUT, is_held_out
from .picture_set import MissingSplit, PictureSet, cut_box
from .upright import upright_boxes

FARTHEST = 1 << 20  # pixels from the corner of a picture
# Of corners that were read as x, y, width, height far more boxes stick out than of any set of careless ones, and as corners hardly any do.
TOO_MANY, HARDLY_ANY = 1 / 4, 1 / 50
# Percent end at 100, and of several objects one reaches nearly as far; boxes in pixels do not all end there in pictures with longer sides.
NEARLY_100, MUCH_LONGER, FEWEST = 90, 150, 4


class Boxed(NamedTuple):
    """A picture and what is on it.

    name     its path below the folder of pictures, with forward slashes
    file     its path
    objects  [(class, [x0, y0, x1, y1] in pixels, half-open, whether it was cut at the picture's border already)]
    size     (width, height); None where the data set does not say it
    """

    name: str
    file: str
    objects: list
    size: tuple | None = None


def boxed_set(source, name, pictures, categories, outside="refuse", sized=False):
    """A PictureSet with a row for each picture and each class that is on it, with all boxes of that class.

    Of a picture with one class the id is its name; of one with several, the name with the class in front of
    the ending: `street#dog.jpg`, `street#person.jpg`. Boxes are cut at the border of their pictures, whose size
    the data set says, or else the picture.

    source      what messages name
    pictures    Boxed, the classes of their objects indices into the categories
    outside     what is done with a box that is empty, or lies outside of its picture: "refuse" or "count"
    sized       whether the data set says x, y, width and height of a box, and not its corners
    raises      InputError for such a box, where no picture has a box, and where the boxes are in another unit or form than they are read in
    """
    if not pictures:
        raise MissingSplit(f"{source}: has no pictures of {name}")
    files, labels, boxes, ids, sizes, clipped, lost = [], [], [], [], [], [], 0
    upright = upright_boxes(source, [picture.file for picture in pictures], [picture.size for picture in pictures],
                            [[box for _, box, _ in picture.objects] for picture in pictures])
    _refuse_other_forms(source, *upright, sized)
    for picture, of_picture, size in zip(pictures, *upright):
        inside = {}
        for (label, _, was_cut), box in zip(picture.objects, np.asarray(of_picture).tolist()):
            cut = cut_box(box, size)
            if cut is None and outside == "refuse":
                raise InputError(f"{source}: the box {', '.join(map(str, box))} of {picture.name} lies outside of its "
                                 + (f"{size[0]} x {size[1]} pixels" if size else "pixels"))
            lost += cut is None
            if cut:
                inside.setdefault(label, []).append((cut, was_cut or cut != box))
        for label, found in sorted(inside.items()):
            files.append(picture.file)
            labels.append(label)
            boxes.append(np.array([box for box, _ in found], np.int32))
            clipped.append(sum(cut for _, cut in found))
            ids.append(picture.name if len(inside) == 1 else _with_class(picture.name, categories[label].label))
            sizes.append(picture.size and size)
    empty = len(pictures) - len(set(files))
    if not files:
        raise InputError(f"{source}: none of its {counted(len(pictures), 'picture')} has a box")
    if lost:
        say(f"{source}: left out {counted(lost, 'box')} without a pixel of the picture")
    if empty:
        say(f"{source}: left out {counted(empty, 'picture')} without a box")
    if not any(map(os.path.exists, files)):
        raise InputError(f"{files[0]}: no such picture, nor any other of {source}")
    known = np.array(sizes, np.int64)[:, ::-1] if all(sizes) else None
    return PictureSet(name, categories, np.array(labels, np.int32), files, boxes, ids=_different(ids), sizes=known,
                      clipped=np.array(clipped, np.int64))


def _refuse_other_forms(source, boxes, sizes, sized):
    """InputError where the boxes are shares or percent of the pictures' sides, or corners that were read as a corner and a size."""
    found = [(*box, *(size or (0, 0))) for of_one, size in zip(boxes, sizes) for box in np.asarray(of_one).tolist()]
    if not found:
        return
    x0, y0, x1, y1, width, height = np.array(found).T
    if min(x0.min(), y0.min()) >= -1 and max(x1.max(), y1.max()) <= 2:  # shares, rounded outward, which miss 0 and 1 a little
        raise InputError(f"{source}: its boxes are fractions of the pictures' sides: write them in pixels")
    known = width > 0
    large = (width > MUCH_LONGER) & (height > MUCH_LONGER)
    right, bottom = x1[large].max(initial=0), y1[large].max(initial=0)
    if (large.sum() >= max(FEWEST, known.sum() / 2) and min(x0.min(), y0.min()) >= -1 and max(x1.max(), y1.max()) <= 101
            and min(right, bottom) >= NEARLY_100):
        shortest = min(width[large].min(), height[large].min())
        raise InputError(f"{source}: its {counted(len(found), 'box')} all lie within 0 to 100, and reach x = {right} and y = {bottom}, "
                         f"though {large.sum()} of them are of pictures with sides of {shortest} pixels and more: they are taken for "
                         "percent of the sides: write them in pixels")
    out = known & ((x1 > width + 1) | (y1 > height + 1))
    no_corners = known & ((x1 - x0 <= x0) | (y1 - y0 <= y0) | (x1 - x0 > width + 1) | (y1 - y0 > height + 1))
    if sized and out.sum() > max(1, TOO_MANY * known.sum()) and no_corners.sum() <= HARDLY_ANY * known.sum():
        raise InputError(f"{source}: of {counted(known.sum(), 'box')}, read as x, y, width and height, {out.sum()} stick out of their "
                         "pictures, and read as the corners x0, y0, x1, y1 they fit: write their width and height, or, in a list, "
                         "call four columns x0, y0, x1, y1")


def outward(x0, y0, x1, y1):
    """Whole numbers: the smallest box of whole pixels that holds this one. ValueError where it is far away or no number."""
    if not all(abs(value) <= FARTHEST for value in (x0, y0, x1, y1)):  # not so for NaN, either
        raise ValueError
    # What a decimal fraction misses a whole number by, in binary.
    return [math.floor(x0 + 1e-6), math.floor(y0 + 1e-6), math.ceil(x1 - 1e-6), math.ceil(y1 - 1e-6)]


def part_called(name):
    """"train", "val" or "test" by what people call a part of a data set, as in "val2017" or "Training"; None for any other name."""
    stem = re.sub(r"[-_ ]?[0-9]*$", "", name).casefold()
    return next((part for part, names in CALLED.items() if stem in names), None)


def undivided(source, names, split):
    """The names that fall to the split; InputError where none does."""
    found = [name for name in names if is_held_out(name) == (split == "val")]
    if not found:
        raise MissingSplit(f"{source}: none of its {counted(len(names), 'picture')} falls to the split {split!r} (one in "
                           f"{HOLD_OUT} is held out, by a checksum of its name); add pictures, or divide them")
    return found


def _with_class(name, label):
    stem, ending = os.path.splitext(name)
    return f"{stem}#{label.replace('/', '_')}{ending}"


def _different(ids):
    """The ids; a number behind those that stand there again."""
    seen, found = {}, []
    for one in ids:
        seen[one] = seen.get(one, 0) + 1
        found.append(one if seen[one] == 1 else f"{one}#{seen[one]}")
    return found
