"""HDF5 files that Keras wrote, read as what anybody may have written."""

import mmap
import re

import h5py
import numpy as np

from cam_base import InputError

MAX_VISITS = 10_000  # ResNet-152 has about 2000 groups and data sets
LARGEST_TEXT = 32 << 20  # bytes; the model_config of ResNet-152 has half a megabyte
CONFIG = b"model_config"
# How a model_config begins.
MODEL_TEXT = re.compile(rb'\{("module": "[\w.]+", )?"class_name": "(Functional|Sequential|Model)", "config": \{')


def config_text(path, file):
    """The bytes of the attribute "model_config", or None where there is none.

    A text of variable length is found in the file itself: in a damaged one, reading it makes the HDF5 library crash.
    """
    if not h5py.h5a.exists(file.id, CONFIG):
        return None
    attribute = h5py.h5a.open(file.id, CONFIG)
    kind = attribute.get_type()
    if not isinstance(kind, h5py.h5t.TypeStringID) or attribute.get_storage_size() > LARGEST_TEXT:
        raise InputError("its model_config is no text, or too long to be read")
    if not kind.is_variable_str():
        return bytes(np.asarray(file.attrs[CONFIG.decode()]).item())
    with open(path, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as contents:
        found = set(_models_in(contents))
    if len(found) != 1:
        raise InputError(f"its model_config is damaged: {len(found)} are found")
    return found.pop()


def _models_in(contents):
    """Every text in HDF5's global heap, whose size stands in front of it, that describes a model."""
    place = -1
    while (place := contents.find(b'{"', place + 1)) >= 0:
        size = int.from_bytes(contents[max(0, place - 8):place], "little")
        if MODEL_TEXT.match(contents[place:place + 200]) and size <= min(LARGEST_TEXT, len(contents) - place):
            yield contents[place:place + size].rstrip(b"\0")
            place += size


def datasets(root):
    """(path, data set) of all below a group, by hard links only: no other file is ever opened."""
    found, waiting, visits = [], [("", root)], 0
    while waiting:
        prefix, group = waiting.pop()
        for name in group:
            visits += 1  # groups may hold one another, without end
            if visits > MAX_VISITS:
                raise InputError("it holds more than any network that we know: refused")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"its entry {prefix}{name} is a link to elsewhere: refused")
            item, path = group[name], f"{prefix}{name}"
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}/", item))
            else:
                _check_plain(path, item)
                found.append((path, item))
    return found


def _check_plain(path, dataset):
    """Keras writes contiguous numbers; whatever could be larger than the file, or elsewhere, is refused."""
    plain = (isinstance(dataset, h5py.Dataset) and dataset.chunks is None and dataset.external is None and not dataset.is_virtual
             and isinstance(dataset.dtype, np.dtype) and dataset.dtype.kind in "fiu"
             and dataset.id.get_storage_size() == dataset.nbytes)
    if not plain:
        raise InputError(f"its data set {path[:60]} is compressed, chunked, external or empty; "
                         "Keras writes none such: refused; h5repack -f NONE -l CONTI IN OUT writes it plainly")


def keep(arrays, name, dataset):
    if name in arrays:
        raise InputError(f"it has two layers with a {name[:60]}")
    arrays[name] = dataset
