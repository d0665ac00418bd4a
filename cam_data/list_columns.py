"""What the first line of a list of pictures calls its columns."""

import csv
import glob
import os
import re
from typing import NamedTuple

from cam_base import InputError, open_regular

LARGEST = 256 << 20  # bytes
LONGEST = 4096  # bytes of the first line
ENDINGS, DELIMITERS = (".csv", ".tsv"), ",;\t|"
# What columns are called, in any case, whatever blanks, `_`, `-` and `.` stand in their names; the first that is there counts.
FILE = ("file", "filename", "filepath", "filepaths", "path", "image", "imagefile", "imagename", "imagepath", "imageindex", "imageid",
        "img", "imgname", "imgpath", "picture", "photo", "id")
LABEL = ("label", "class", "classname", "labelname", "category", "categoryname", "target", "labels", "classes", "findinglabels",
         "findinglabel", "classid", "labelid", "categoryid")
SPLIT = ("split", "subset", "partition")
# Without a "bbox", "box" or "roi" in front of them.
CORNERS = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"))
SIZED = tuple((*corner, *size) for corner in (("x", "y"), ("x0", "y0"), ("x1", "y1"), ("xmin", "ymin"), ("left", "top"))
              for size in (("w", "h"), ("width", "height")))
ONE = ("bbox", "box", "boundingbox")  # as COCO writes it
SIZE = ("width", "height")


class Columns(NamedTuple):
    """What the first line of a list says.

    delimiter  between its cells
    names      of all columns
    file, label, split  names of these columns; None for one that is not there
    box        names of the columns of boxes; empty: there are none
    sized      whether these end in width and height, and not in the lower right corner
    size       names of those of the picture's width and height; empty: there are none
    """

    delimiter: str
    names: list
    file: str | None
    label: str | None
    split: str | None
    box: tuple
    sized: bool
    size: tuple

    @property
    def not_read(self):
        """Names of the other columns; an index, as pandas writes it, has none."""
        read = {self.file, self.label, self.split, *self.box, *self.size}
        return [name for name in self.names if name and name not in read and not name.startswith("Unnamed: ")]


def list_files(folder):
    """The files in a folder that are called like lists."""
    return sorted(path for ending in ENDINGS for path in glob.glob(os.path.join(glob.escape(folder), f"*{ending}")))


def read_columns(path):
    """The Columns of a list, whichever it has; None for a file whose first line is none."""
    try:
        with open_regular(path, LARGEST) as file:
            first = file.readline(LONGEST + 1).decode("utf-8-sig")
            if len(first) > LONGEST:
                return None
        found = [_columns(next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), []), delimiter) for delimiter in DELIMITERS]
    except (OSError, UnicodeDecodeError, InputError, csv.Error):
        return None
    return max(found, key=lambda columns: (bool(columns.file and columns.label), len(columns.names)))


def _columns(names, delimiter):
    names = [name.strip() for name in names]
    plain = {}
    for name in names:
        plain.setdefault(re.sub(r"[\s_.\-\[\]]", "", name.casefold()), name)
    boxes = {}
    for key, name in plain.items():
        boxes.setdefault(re.sub("^(bbox|box|roi)(?=.)", "", key), name)

    def first(called, known):
        return next((tuple(known[key] for key in keys) for keys in called if all(key in known for key in keys)), ())

    file, label, split = ((first([(key,) for key in keys], plain) or (None,))[0] for keys in (FILE, LABEL, SPLIT))
    corners = first(CORNERS, boxes)
    sized = () if corners else first(SIZED, boxes)
    one = () if corners or sized else first([(key,) for key in ONE], plain)
    size = first([SIZE], plain)
    return Columns(delimiter, names, file, label, split, corners or sized or one, not corners, () if set(size) & set(sized) else size)
