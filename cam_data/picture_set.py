"""A set of labelled pictures, wherever they come from."""

from dataclasses import dataclass, replace

import numpy as np

from cam_base import InputError
from cam_data.headers import LARGEST_PICTURE


@dataclass(frozen=True)
class PictureSet:
    """Rows of pictures with one class each.

    name        what messages and metrics.json call it
    categories  one weights.Category for each class
    labels      int32 [rows], index into `categories`
    files       file name of each row (for drawn pictures: a name to show)
    boxes       None, or for each row its true boxes, int32 [n, 4]: x0, y0, x1, y1 in
                pixels of the upright picture, half-open
    draw        None for files; else a function (row, epoch) -> uint8 [H, W, 3], whose
                pictures are trained on as they are, neither cropped nor mirrored
    masks       None, or a function of a row -> (mask, ignore), bool [224, 224]
    excluded    None, or bool [rows]: left out of ILSVRC's localization error
    ids         None, or the name of each row by which evaluations are compared and
                score maps are found
    sizes       None, or int [rows, 2]: height and width, where the data set says them
    largest     most pixels of a picture that is read; a larger one is left out as broken
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

    def __len__(self):
        return len(self.labels)

    def rows(self, rows):
        """The same set with these rows only (an integer array), in this order."""
        rows = np.asarray(rows, int)
        draw = self.draw and (lambda row, epoch: self.draw(rows[row], epoch))
        masks = self.masks and (lambda row: self.masks(rows[row]))
        return replace(self, labels=self.labels[rows], files=[self.files[row] for row in rows],
                       boxes=self.boxes and [self.boxes[row] for row in rows], draw=draw, masks=masks,
                       excluded=None if self.excluded is None else self.excluded[rows],
                       ids=self.ids and [self.ids[row] for row in rows],
                       sizes=None if self.sizes is None else self.sizes[rows])

    def first_classes(self, count):
        """Only the first `count` classes and their rows."""
        if not 2 <= count <= len(self.categories):
            raise InputError(f"{self.name} has {len(self.categories)} classes; "
                             f"asked for the first {count}")
        kept = self.rows(np.flatnonzero(self.labels < count))
        return replace(kept, categories=self.categories[:count])

    def first_rows(self, count):
        """Only `count` rows, spread over the classes as evenly as they allow."""
        if not 1 <= count <= len(self):
            raise InputError(f"{self.name} has {len(self)} pictures; asked for {count}")
        rank = np.empty(len(self), int)
        for label in range(len(self.categories)):
            members = np.flatnonzero(self.labels == label)
            rank[members] = np.arange(len(members))
        return self.rows(np.sort(np.lexsort((self.labels, rank))[:count]))
