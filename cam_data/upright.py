"""True boxes of pictures that EXIF turns: some programs draw them on the upright picture, others on the pixels as they are stored."""

import numpy as np

from cam_base import InputError, open_regular
from cam_base.terminal import counted, say
from .headers import read_header
from .picture_set import cut_box

# Orientations of EXIF: from TRANSPOSED on, rows become columns; then these are mirrored along x and y.
TRANSPOSED, MIRRORED_X, MIRRORED_Y = 5, (2, 3, 6, 7), (3, 4, 7, 8)
MOST = 1 << 20  # pixels of a side


def upright_boxes(source, files, sizes, boxes):
    """Boxes of the upright pictures, whichever way up they were drawn, and these pictures' sizes.

    Of a quarter turn, the size that the data set says tells whether boxes were drawn on the pixels as they are stored;
    where it says none, the boxes do that fit into the picture one way only. Of half a turn, of mirrored and of square
    pictures nothing tells: they are taken as most of those pictures of the set of which it is known, and, where there is none, as
    drawn on the upright picture. What is turned, and what is not known, is said.

    source   what messages name
    files    of the pictures
    sizes    (width, height) of each as the data set says it, or None
    boxes    of each, int [m, 4]: x0, y0, x1, y1 in pixels, half-open
    returns  (boxes, sizes); a size that the data set does not say is the file's; None where that has none, or no boxes
    """
    headers = [header_of(file) if len(of_one) else None for file, of_one in zip(files, boxes)]
    turned = [row for row, header in enumerate(headers) if header and header.orientation > 1]
    as_stored = {row: _drawn_as_stored(headers[row], sizes[row], boxes[row]) for row in turned}
    known = [answer for answer in as_stored.values() if answer is not None]
    others = sum(known) > len(known) / 2
    found = list(boxes), [size or header and header.size[::-1] for size, header in zip(sizes, headers)]
    for row in turned:
        if as_stored[row] or as_stored[row] is None and others:
            drawn = sizes[row] or (headers[row].width, headers[row].height)
            found[0][row], found[1][row] = turned_boxes(boxes[row], drawn, headers[row].orientation)
    _say(source, files, as_stored, others)
    return found


def header_of(file):
    """The Header of a picture file; None where it has none that can be read, or of no real picture, which its reader will say."""
    try:
        with open_regular(file) as opened:
            header = read_header(opened)
    except (OSError, InputError):
        return None
    return header if max(header.size) <= MOST else None


def turned_boxes(boxes, size, orientation):
    """Boxes [m, 4] in stored pixels of `size`, (width, height), as they lie on the upright picture, and its (width, height)."""
    x0, y0, x1, y1 = np.asarray(boxes).T
    width, height = size
    if orientation >= TRANSPOSED:
        x0, y0, x1, y1, width, height = y0, x0, y1, x1, height, width
    if orientation in MIRRORED_X:
        x0, x1 = width - x1, width - x0
    if orientation in MIRRORED_Y:
        y0, y1 = height - y1, height - y0
    return np.stack([x0, y0, x1, y1], axis=1), (width, height)


def _drawn_as_stored(header, size, boxes):
    """Whether boxes were drawn on the pixels as they are stored, and not on the upright picture; None where nothing tells."""
    stored, upright = (header.width, header.height), header.size[::-1]
    if stored == upright:
        return None
    if size:  # maybe of a copy of another size
        return None if size[0] == size[1] else (size[0] > size[1]) == (stored[0] > stored[1])
    fits, fits_upright = (all(cut_box(box, whole) == list(box) for box in np.asarray(boxes).tolist()) for whole in (stored, upright))
    return None if fits == fits_upright else fits


def _say(source, files, as_stored, others):
    turned, unknown = ([files[row] for row, answer in as_stored.items() if answer is kind] for kind in (True, None))
    if turned:
        say(f"{source}: the boxes of {counted(len(turned), 'picture')} that EXIF turns, such as {turned[0]}, were drawn on the "
            "pixels as they are stored, and are turned, too")
    if unknown:
        alike = "as those of the set's other turned pictures" if len(unknown) < len(as_stored) else "since nothing in the set tells"
        say(f"{source}: of {counted(len(unknown), 'picture')} that EXIF mirrors or turns, such as {unknown[0]}, no size tells which way "
            f"up the boxes were drawn: taken for drawn on {'the pixels as they are stored' if others else 'the upright picture'}, {alike}")
