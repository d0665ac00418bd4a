"""PyTorch's format from before 1.6 (`torch.save` until July 2020), without PyTorch.

Five pickles, one behind the other: a magic number, the version of the format,
facts of the machine, the state dictionary, and the keys of its storages. Behind
them stand these storages in the order of their keys, each as its number of
elements (8 bytes) and plain bytes. Before 0.4 (April 2018), tensors and
parameters were described in an older way, which is read too.
Source: torch.serialization._legacy_save and _legacy_load.
"""

import mmap

import numpy as np

from cam_base import InputError
from .safetensors_file import from_bfloat16
from .state_dict import state_of
from .torch_file import TORCH, StorageType, refuse_opaque, strided_view
from .unpickle import Buildable, Unpickler

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
COUNT = 8  # bytes of a storage's number of elements


def read_arrays(path, entry=None):
    """The `State` of a file that holds a state dictionary, as `state_dict.tensors_of` says.

    Arrays are views of the file, which is mapped: what a storage claims to hold
    is compared with the bytes that are there. bfloat16 becomes float32. Raises
    InputError for anything else.
    """
    with open(path, "rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    described = {}
    magic, data = _unpickle(data)
    version, data = _unpickle(data)
    machine, data = _unpickle(data)
    saved, data = _unpickle(data, LEGACY, lambda identity: _describe(identity, described), True)
    keys, data = _unpickle(data)
    if magic != MAGIC or version != VERSION or not isinstance(machine, dict):
        raise InputError("what stands in front of its state dictionary is damaged")
    if machine.get("little_endian") is not True:
        raise InputError("it was written by a big-endian machine, which is not read here")
    state = state_of(saved, Tensor, entry)
    storages = _storages(data, keys, described)
    arrays = {name: strided_view(storages[tensor.key], *tensor.place) for name, tensor in state.tensors.items()}
    return state._replace(tensors=arrays)


def _unpickle(data, *admitted):
    """(what the pickle at the beginning of `data` describes, the data behind it)."""
    unpickler = Unpickler(data, *(admitted or [{}]))
    return unpickler.load(), data[unpickler.position:]


def _describe(identity, described):
    """The key in a persistent id ("storage", type, key, location, count, view); `described` keeps (type, count) of it."""
    if not isinstance(identity, tuple) or len(identity) != 6 or identity[0] != "storage":
        raise InputError("its pickle refers to something that is not a storage")
    _, kind, key, _, count, view = identity
    refuse_opaque(kind, key)
    kind = getattr(kind, "call", None)
    if not isinstance(kind, StorageType) or type(key) is not str or view is not None:
        raise InputError(f"its storage {str(key)[:20]} is of a type that is not read here")
    if type(count) is not int or count < 0 or described.setdefault(key, (kind, count)) != (kind, count):
        raise InputError(f"its storage {key[:20]} is described in a way that makes no sense")
    return StorageKey(key)


def _storages(data, keys, described):
    """{key: array} of the storages at the beginning of `data`; InputError unless they are all of it."""
    if not isinstance(keys, list) or not all(type(key) is str for key in keys) or sorted(keys) != sorted(described):
        raise InputError("its list of storages is damaged")
    storages = {}
    for key in keys:
        kind, count = described[key]
        size = count * kind.dtype.itemsize
        if len(data) < COUNT + size or int.from_bytes(data[:COUNT], "little") != count:
            raise InputError(f"its storage {key[:20]} is not as long as it says: the file is truncated or damaged")
        array = np.frombuffer(data[COUNT:COUNT + size], kind.dtype)
        storages[key] = from_bfloat16(array) if kind.bfloat16 else array
        data = data[COUNT + size:]
    if len(data):
        raise InputError("something follows behind its storages: the file is damaged")
    return storages


class StorageKey(str):
    """The key of a storage that stands further behind in the file."""


class Tensor(Buildable):
    """A tensor by its storage's key, offset, size and stride, whichever of PyTorch's functions would make it."""

    def __init__(self, key, offset, size, stride, *_):
        if not isinstance(key, StorageKey):
            raise InputError("a tensor's description is damaged")
        self.key, self.place = key, (offset, size, stride)

    def build(self, state):
        """The state of a parameter before 0.4: whether it needs gradients, which says nothing that we need."""


def _parameter(tensor, *_):
    if not isinstance(tensor, Tensor):
        raise InputError("a parameter is not a tensor")
    return tensor


LEGACY = TORCH | {("torch._utils", "_rebuild_tensor_v2"): Tensor,
                  ("torch._utils", "_rebuild_parameter"): _parameter,
                  # Before 0.4.
                  ("torch._utils", "_rebuild_tensor"): Tensor,
                  ("torch.nn.parameter", "Parameter"): _parameter}
