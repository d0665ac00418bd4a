"""The table of synsets of ILSVRC's development kit: which class has which wnid."""

import io
import math
import re
import zlib

import numpy as np
import scipy.io

from cam_base import WNID, InputError, open_regular

CLASSES = 1000
LARGEST = 16 << 20  # bytes of the file, and
LARGEST_INFLATED = 64 << 20  # of what its compressed parts hold
HEADER, COMPRESSED = 128, 15  # of a MAT file of version 5: bytes, and the type of a compressed part


def read_wnids(path):
    """The wnids of the ids 1, 2, ... from the kit's meta_clsloc.mat (or older meta.mat).

    Raises InputError for a file that is none, or that gives an id two wnids or a wnid two ids.
    """
    wnid_of, id_of = {}, {}
    for number, wnid in _synsets(path):
        if wnid_of.setdefault(number, wnid) != wnid:
            raise InputError(f"{path}: class {number} is {wnid[:20]!r} and {wnid_of[number][:20]!r}")
    # Kits of 2012 and before go on with synsets above the thousand classes.
    numbers = range(1, min(len(wnid_of), CLASSES) + 1)
    if not numbers or not all(number in wnid_of for number in numbers):
        raise _no_table(path)
    for number in numbers:
        wnid = wnid_of[number]
        if not WNID.fullmatch(wnid):
            raise InputError(f"{path}: has WNIDs that are none, such as {wnid[:20]!r}")
        if id_of.setdefault(wnid, number) != number:
            raise InputError(f"{path}: {wnid} is class {id_of[wnid]} and class {number}")
    return [wnid_of[number] for number in numbers]


def _synsets(path):
    """[(id, wnid)] of the table."""
    try:
        with open_regular(path, LARGEST) as file:
            contents = file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is the data set complete?") from None
    try:
        _check_inflated(contents)
        shapes = {name: shape for name, shape, _ in scipy.io.whosmat(io.BytesIO(contents))}
        if not 0 < math.prod(shapes["synsets"]) < 100_000:
            raise ValueError
        synsets = scipy.io.loadmat(io.BytesIO(contents), variable_names=["synsets"])["synsets"].ravel()
        field = next(name for name in synsets.dtype.names if re.fullmatch(r"ILSVRC\d{4}(_CLSLOC)?_ID", name))
        return [(int(np.squeeze(synset[field])), str(np.squeeze(synset["WNID"]))) for synset in synsets]
    except Exception:  # a file that is no MAT file can fail anywhere in its reader
        raise _no_table(path) from None


def _check_inflated(contents):
    """ValueError where compressed parts hold more than a table of synsets does."""
    order = "big" if contents[HEADER - 2:HEADER] == b"MI" else "little"
    place, left = HEADER, LARGEST_INFLATED
    while place + 8 <= len(contents):
        kind, size = (int.from_bytes(contents[place + start:place + start + 4], order) for start in (0, 4))
        if kind == COMPRESSED:
            left -= len(zlib.decompressobj().decompress(contents[place + 8:place + 8 + size], left))
            if left <= 0:
                raise ValueError
        place += 8 + size


def _no_table(path):
    return InputError(f"{path}: not the kit's table of synsets; take meta_clsloc.mat from its data folder")
