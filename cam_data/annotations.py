"""XML annotations of the PASCAL VOC form, as ILSVRC's validation pictures have them, and as PASCAL's own."""

import math
import re
from typing import NamedTuple
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

from cam_base import WNID, InputError, open_regular
from .picture_set import cut_box

LARGEST = 1 << 20  # bytes


class Annotated(NamedTuple):
    """A picture.

    objects  [(wnid, [x0, y0, x1, y1] in pixels, half-open, whether it was cut at the picture's border)]
    size     (width, height); None where the file does not say it
    """

    objects: list
    size: tuple | None


WHOLE, DECIMAL = "-?[0-9]{1,6}", r"-?[0-9]{1,6}(\.[0-9]{1,30})?"


def read_annotation(path, pascal=False):
    """An annotation file as Annotated.

    pascal  the first pixel is 1, as PASCAL VOC and LabelImg count, and not 0, as ILSVRC does (of whose objects, called
            by wnids, it is 0 even so); decimals, which some of PASCAL's files have, are rounded outward

    A file with a document type is refused: entities are defined there, and ILSVRC's
    files have none. Raises InputError naming the file, and the lines, where it says
    two things of one object or of the picture, or has a box outside of the picture.
    """
    root, lines = _parsed(path)
    if root.tag != "annotation":
        raise InputError(f"{path}: starts with <{root.tag[:20]}>, not with <annotation>")
    file = _File(path, lines, pascal)
    width, height = (file.text(root, f"size/{side}") for side in ("width", "height"))
    known = all(re.fullmatch("0*[1-9][0-9]{0,5}", side) for side in (width, height))
    size = (int(width), int(height)) if known else None  # some old files have 0 x 0
    return Annotated([file.object(number, node, size) for number, node in enumerate(root.iter("object"), 1)], size)


class _File:
    """Reads elements of one file, and names it and their lines in errors."""

    def __init__(self, path, lines, pascal):
        self.path, self.lines, self.pascal = path, lines, pascal

    def text(self, node, place):
        """The text of the elements at `place` below the node, which must be the same in all; "" where there is none."""
        found = [((element.text or "").strip(), self.lines[element]) for element in node.findall(place)]
        for text, line in found[1:]:
            if text != found[0][0]:
                raise InputError(f"{self.path}, line {line}: {place} is {text[:20]!r}, and {found[0][0][:20]!r} "
                                 f"in line {found[0][1]}")
        return found[0][0] if found else ""

    def object(self, number, node, size):
        """(wnid, box, whether it was cut) of an object."""
        wnid = self.text(node, "name")
        corners = [self.text(node, f"bndbox/{corner}") for corner in ("xmin", "ymin", "xmax", "ymax")]
        if not wnid or not all(re.fullmatch(DECIMAL if self.pascal else WHOLE, corner) for corner in corners):
            raise InputError(f"{self.path}: object {number} has no name and {'' if self.pascal else 'whole '}xmin, ymin, xmax, ymax")
        x0, y0, x1, y1 = (turn(float(corner)) for turn, corner in zip((math.floor, math.floor, math.ceil, math.ceil), corners))
        if x0 > x1 or y0 > y1:
            raise InputError(f"{self.path}: object {number} ends before it starts: {x0} {y0} {x1} {y1}")
        first = 1 if self.pascal and not WNID.fullmatch(wnid) else 0
        box = [x0 - first, y0 - first, x1 + 1 - first, y1 + 1 - first]
        inside = cut_box(box, size)
        if inside is None:
            raise InputError(f"{self.path}, line {self.lines[node]}: object {number}, {x0} {y0} {x1} {y1}, lies "
                             "outside of the picture" + (f" of {size[0]} x {size[1]} pixels" if size else ""))
        return wnid, inside, inside != box


def _parsed(path):
    """The root element, and {element: line} of all."""
    builder, parser, lines = TreeBuilder(), expat.ParserCreate(), {}

    def start(tag, attributes):
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        with open_regular(path, LARGEST) as file:
            parser.ParseFile(file)
        return builder.close(), lines
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is the data set complete?") from None
    except _DocumentType:
        raise InputError(f"{path}: has a document type (<!DOCTYPE), which annotations "
                         "have not; remove it if the file is yours") from None
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: its encoding
        raise InputError(f"{path}: not XML that can be read: {error}") from None


class _DocumentType(Exception):
    pass


def _refuse_document_type(*_):
    raise _DocumentType
