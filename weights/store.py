"""This project's weights file: one .npz with everything that a localizer needs.

Each variable is one array under its path in the network ("stages/0/1/conv2/kernel");
the entry "meta" is JSON in UTF-8 bytes: network, classes, preprocessing, and how the
weights were made. Nothing is pickled, nothing is compressed: what a file claims to
hold can be checked against its size before any memory is taken.
"""

import json
import math
import os
import struct
import zipfile
from dataclasses import dataclass, field

import numpy as np

from cam_base import Category, InputError, Preprocessing, replacing
from cam_base.files import is_utf8
from .layout import BASIC_BLOCKS, RESNET_BLOCKS, resnet_units
from .values import check_numbers, check_statistics

FORMAT = "cam-weights/1"
# What weights may say of how to look with them: a function that checks each value.
LOOKING = {
    "scale": lambda value: value in ("min-max", "max"),
    "threshold": lambda value: isinstance(value, float) and 0 <= value < 1,
    "output_stride": lambda value: type(value) is int and value > 0,
    "refine": lambda value: type(value) is int and 0 <= value <= 1000,
    "refine_grid": lambda value: type(value) is int and 8 <= value <= 512,
    "chosen_on": lambda value: isinstance(value, str),
}
MOST_CLASSES = 100_000  # all of ImageNet has 21,841


@dataclass(frozen=True)
class Weights:
    """A trained network, without the code that runs it.

    network        arguments for `nets.build`: {"name": "resnet", "depth": 26, ...}
    tensors        path in the network -> float array
    classes        one Category for each logit, in order
    preprocessing  how its pictures are prepared
    provenance     how it was made: free-form, JSON
    looking        how its maps localize best, where that was measured: any of LOOKING, and "chosen_on",
                   the name of the pictures that decided
    multi_label    whether each logit is a sigmoid of its own, and a picture may show several classes
    """

    network: dict
    tensors: dict
    classes: list
    preprocessing: Preprocessing
    provenance: dict = field(default_factory=dict)
    looking: dict = field(default_factory=dict)
    multi_label: bool = False


def check_name(path):
    """InputError for a file's name that says another format than what `save` writes."""
    if not os.fspath(path).lower().endswith(".npz"):
        raise InputError(f"{path}: weights are written as .npz alone, so this name would say another format; call it {os.path.splitext(path)[0]}.npz")


def save(path, weights, dtype="float16"):
    """Write `weights` to `path`, kernels as float16 or float32, all or nothing.

    Vectors (biases, batch-norm scales and statistics) stay float32: a variance
    of 1e-8 is zero in float16. Raises InputError for a name that is no .npz, and for numbers
    that `load` would refuse: no file is then written over.
    """
    check_name(path)
    with np.errstate(over="ignore", under="ignore"):
        arrays = {name: np.asarray(tensor, dtype if np.ndim(tensor) > 1 else np.float32)
                  for name, tensor in weights.tensors.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"{name} is not finite as {array.dtype}; {path} was not written")
    try:
        for name, array in arrays.items():
            check_numbers(name, array)
        check_statistics(weights.network, arrays)
    except InputError as error:
        raise InputError(f"{error}; {path} was not written") from None
    arrays["meta"] = np.frombuffer(describe(weights), np.uint8)
    with replacing(path) as file:
        np.savez(file, **arrays)


def describe(weights):
    """All of `weights` but the tensors, as JSON in UTF-8 bytes."""
    meta = {"format": FORMAT, "network": weights.network,
            "classes": [list(category) for category in weights.classes],
            "preprocessing": weights.preprocessing.to_dict(), "provenance": weights.provenance,
            "looking": weights.looking, "multi_label": weights.multi_label}
    return json.dumps(meta, ensure_ascii=False).encode()


def read(path):
    """Weights of a file that `save` wrote. The file is checked before it is believed.

    Raises InputError for anything else: compressed, pickled, not finite, or of
    another format. `weights.load` is the entry that says it in one line.
    """
    with zipfile.ZipFile(path) as archive:
        arrays = {name.removesuffix(".npy"): _read_array(archive, entry)
                  for name, entry in stored_entries(archive).items()}
    if "meta" not in arrays:
        raise InputError("there is no entry 'meta': not a weights file of this project")
    return from_arrays(arrays, arrays.pop("meta").tobytes())


def stored_entries(archive):
    """{name: entry} of a zip file in which nothing is compressed, hidden, or there twice.

    So all entries together are no larger than the file, whatever they claim.
    """
    entries = {entry.filename: entry for entry in archive.infolist()}
    for name, entry in entries.items():
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise InputError(f"its entry {name[:60]} is compressed; weights files never are")
    # A damaged length can hide entries behind another; zipfile does not count them.
    size = archive.fp.seek(0, os.SEEK_END)
    archive.fp.seek(max(0, size - 22))
    signature, counted = struct.unpack("<4s6xH10x", archive.fp.read(22))
    if signature != b"PK\5\6" or not counted == len(entries) == len(archive.infolist()):
        raise InputError("its table of contents is damaged")
    if sum(entry.file_size for entry in entries.values()) > size:
        raise InputError("its entries claim to be larger than the file")
    return entries


def _read_array(archive, entry):
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise InputError(f"{entry.filename} is in version {version} of the .npy format, not 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype not in (np.float16, np.float32, np.uint8) or fortran:
            raise InputError(f"{entry.filename} holds {dtype}, not float16 or float32 in C order")
        # Reading to the end also checks the entry's CRC.
        data = file.read()
        if math.prod(shape) * dtype.itemsize != len(data):
            raise InputError(f"{entry.filename} does not hold its shape of {shape}")
    return np.frombuffer(data, dtype).reshape(shape)


def from_arrays(arrays, meta):
    """Weights from {path: array} and what `describe` made; InputError when they are not both whole."""
    meta = json.loads(meta)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(f"its format is not {FORMAT}")
    classes = [Category(*pair) for pair in meta["classes"]]
    for wnid, label in classes:
        if not isinstance(label, str) or not (wnid is None or isinstance(wnid, str)) or not is_utf8(label + (wnid or "")):
            raise InputError("a class is not a pair of wnid and label, in letters that UTF-8 has")
    if len(classes) > MOST_CLASSES or "head/bias" in arrays and arrays["head/bias"].shape != (len(classes),):
        raise InputError(f"its list of {len(classes):,} classes does not fit its head")
    if not isinstance(meta["network"], dict) or not isinstance(meta["provenance"], dict):
        raise InputError("network and provenance must be dictionaries")
    multi_label = meta.get("multi_label", False)  # as the first files did not have it
    if not isinstance(multi_label, bool):
        raise InputError("multi_label is neither true nor false")
    for name, array in arrays.items():
        if array.dtype not in (np.float16, np.float32):
            raise InputError(f"{name} does not hold numbers")
        check_numbers(name, array)
    _refuse_larger_network(meta["network"], sum(array.size for array in arrays.values()))
    return Weights(meta["network"], arrays, classes, Preprocessing.from_dict(meta["preprocessing"]), meta["provenance"],
                   checked_looking(meta.get("looking", {})), multi_label)  # nor this


def checked_looking(looking):
    """The dictionary itself; InputError for a key that is not known, or a value that it cannot have."""
    if not isinstance(looking, dict):
        raise InputError("looking must be a dictionary")
    for name, value in looking.items():
        if name not in LOOKING or not LOOKING[name](value):
            raise InputError(f"how to look with these weights makes no sense: {str(name)[:40]} is {str(value)[:40]!r}")
    return looking


def _refuse_larger_network(network, held):
    """InputError when the convolutions have more weights than the file: building them would take memory for nothing."""
    depth, width, widen = network.get("depth", 50), network.get("width", 64), network.get("widen", 1)
    if network.get("name") == "resnet" and depth in RESNET_BLOCKS | BASIC_BLOCKS and isinstance(width, int) and widen in (1, 2):
        needed = sum(math.prod(kernel) for path, *_, kernel in resnet_units(depth, width, widen) if path is not None)
        if needed > held:
            raise InputError(f"its network's convolutions have {needed:,} weights, and it holds {held:,}: "
                             "it is not complete")
