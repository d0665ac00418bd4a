"""A set of labelled pictures, wherever they come from."""

import os
from dataclasses import dataclass, replace

import numpy as np

from cam_base import InputError, match_classes
from cam_base.terminal import counted
from .decoding import read_picture
from .headers import LARGEST_PICTURE


class MissingSplit(InputError):
    """The set has no such split, and nothing else is known to be wrong with it."""


@dataclass(frozen=True)
class PictureSet:
    """Rows of pictures with one class each.

    name        what messages and metrics.json call it
    categories  one cam_base.Category for each class
    labels      int32 [rows], index into `categories`
    files       file name of each row (for drawn pictures: a name to show)
    boxes       None, or for each row its true boxes, int32 [n, 4]: x0, y0, x1, y1 in
                pixels of the upright picture, half-open
    draw        None for files; else a function (row, epoch) -> uint8 [H, W, 3], whose
                pictures are trained on as they are, neither cropped nor mirrored
    held        whether `draw` gives the same picture in every epoch, because it is held in
                memory and not drawn anew: it is cropped and mirrored as a file is
    masks       None, or a function of a row -> (mask, ignore), bool [224, 224]
    excluded    None, or bool [rows]: left out of ILSVRC's localization error
    ids         None, or the name of each row by which evaluations are compared and
                score maps are found
    sizes       None, or int [rows, 2]: height and width, where the data set says them
    largest     most pixels of a picture that is read; a larger one is left out as broken
    clipped     None, or int [rows]: how many of a row's true boxes stuck out of the picture
                and were cut at its border
    """

    name: str
    categories: list
    labels: np.ndarray
    files: list
    boxes: list | None = None
    draw: object = None
    masks: object = None
    excluded: np.ndarray | None = None
    ids: list | None = None
    sizes: np.ndarray | None = None
    largest: int = LARGEST_PICTURE
    clipped: np.ndarray | None = None
    held: bool = False

    def __len__(self):
        return len(self.labels)

    @property
    def names(self):
        """The name of each row: its id, or its file's name where the set has no ids."""
        return self.ids or [os.path.basename(file) for file in self.files]

    @property
    def numbers(self):
        """int [rows]: which picture a row is of; several are of one that shows several classes."""
        seen = {}
        return np.arange(len(self)) if self.draw else np.array([seen.setdefault(file, len(seen)) for file in self.files], int)

    def pixels(self, row):
        """A row's picture, uint8 [H, W, 3]; one that is drawn as in the first epoch. InputError for a file that cannot be read."""
        return np.asarray(self.draw(row, 0)) if self.draw else read_picture(self.files[row], self.largest)

    def rows(self, rows):
        """The same set with these rows only (an integer array), in this order."""
        rows = np.asarray(rows, int)
        draw = self.draw and (lambda row, epoch: self.draw(rows[row], epoch))
        masks = self.masks and (lambda row: self.masks(rows[row]))
        return replace(self, labels=self.labels[rows], files=[self.files[row] for row in rows],
                       boxes=self.boxes and [self.boxes[row] for row in rows], draw=draw, masks=masks,
                       excluded=None if self.excluded is None else self.excluded[rows],
                       ids=self.ids and [self.ids[row] for row in rows],
                       sizes=None if self.sizes is None else self.sizes[rows],
                       clipped=None if self.clipped is None else self.clipped[rows])

    def check_size(self, row, size):
        """InputError when the picture of a row, read, is not the one that the data set speaks of.

        size  (height, width) of the upright picture: it must be that in `sizes`, and hold
              every true box. Else the boxes are of another picture, or of this one before
              it was resized or turned
        """
        height, width = map(int, size)
        if self.sizes is not None and (height, width) != tuple(self.sizes[row]):
            said_height, said_width = self.sizes[row]
            raise InputError(f"{self.files[row]}: has {width} x {height} pixels, and the data set says "
                             f"{said_width} x {said_height}: its boxes or masks are of another picture")
        for box in [] if self.boxes is None else self.boxes[row].tolist():
            if cut_box(box, (width, height)) != box:
                raise InputError(f"{self.files[row]}: has {width} x {height} pixels, and its true box "
                                 f"{box} (half-open) sticks out of it")

    def of_classes(self, categories):
        """The same set with the classes of another, in its order; InputError for a class that this other lacks."""
        if self.categories == categories:
            return self
        numbers = match_classes(categories, self.categories)
        lacking = [self.categories[label] for label in np.unique(self.labels) if numbers[label] < 0]
        if lacking:
            raise InputError(f"{self.name}: the class {lacking[0].label!r} ({counted(len(lacking), 'such class')} in all) is not among "
                             "those of its training pictures")
        return replace(self, categories=categories, labels=numbers[self.labels].astype(np.int32))

    def first_classes(self, count):
        """Only the first `count` classes and their rows."""
        if not 2 <= count <= len(self.categories):
            raise InputError(f"{self.name} has {counted(len(self.categories), 'class')}; "
                             f"asked for the first {count}")
        kept = self.rows(np.flatnonzero(self.labels < count))
        return replace(kept, categories=self.categories[:count])

    def first_rows(self, count):
        """Only `count` rows, spread over the classes as evenly as they allow."""
        return self.rows(self.spread_rows(count))

    def spread_rows(self, count):
        """The numbers of `count` rows, ascending, spread over the classes as evenly as they allow, of each class the first."""
        if not 1 <= count <= len(self):
            raise InputError(f"{self.name} has {counted(len(self), 'picture')}; asked for {count}")
        return np.sort(np.lexsort((self.labels, places_in_class(self.labels)))[:count])


def joined(parts, name):
    """One PictureSet of several, {split: PictureSet}, in their order; names that stand in more than one begin with their split.

    Raises InputError where some have boxes, or masks, and others none.
    """
    first, *others = parts.values()
    for what in ("boxes", "masks", "draw"):
        if len({getattr(part, what) is None for part in parts.values()}) > 1:
            has, lacks = ([split for split, part in parts.items() if (getattr(part, what) is None) == none] for none in (False, True))
            raise InputError(f"{name}: its split {has[0]} has {what} and its split {lacks[0]} has none: judge one of them")
    categories = list(first.categories)
    for part in others:
        numbers = match_classes(categories, part.categories)
        categories += [category for category, number in zip(part.categories, numbers) if number < 0]
    every = [part.of_classes(categories) for part in parts.values()]
    names = [own for part in every for own in part.names]
    if len(set(names)) < len(names):
        names = [f"{split}/{own}" for split, part in zip(parts, every) for own in part.names]
    ends = np.cumsum([len(part) for part in every])

    def part_of(row):
        number = int(np.searchsorted(ends, row, side="right"))
        return every[number], row - (ends[number] - len(every[number]))

    def draw(row, epoch):
        part, place = part_of(row)
        return part.draw(place, epoch)

    def masks(row):
        part, place = part_of(row)
        return part.masks(place)

    def array(what, blank):
        """A field of all rows: None where none has it, and `blank` where one has it not, or None where all must have it."""
        found = [getattr(part, what) for part in every]
        if all(one is None for one in found) or blank is None and any(one is None for one in found):
            return None
        return np.concatenate([np.full(len(part), blank) if one is None else one for one, part in zip(found, every)])

    return replace(first, name=name, categories=categories, labels=np.concatenate([part.labels for part in every]),
                   files=[file for part in every for file in part.files], ids=names, draw=first.draw and draw, masks=first.masks and masks,
                   boxes=first.boxes and [boxes for part in every for boxes in part.boxes],
                   excluded=array("excluded", False), sizes=array("sizes", None), clipped=array("clipped", 0))


def places_in_class(labels):
    """Of each row, how many of its class are in front of it: int [rows]."""
    by_class = np.argsort(labels, kind="stable")
    places = np.empty(len(labels), int)
    places[by_class] = np.arange(len(labels)) - np.searchsorted(labels[by_class], labels[by_class])
    return places


def cut_box(box, size):
    """A true box cut at the border of its picture; None for one that lies wholly outside.

    box   [x0, y0, x1, y1], whole numbers, half-open
    size  (width, height); None where it is not known: cut at the left and above alone
    """
    width, height = size or (box[2], box[3])
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    return [x0, y0, x1, y1] if x0 < x1 and y0 < y1 else None
