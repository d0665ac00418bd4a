"""PyTorch's zip format (`torch.save` since 1.6), without PyTorch: one pickle, and one entry for each storage."""

import math
import zipfile

import numpy as np

from cam_base import InputError
from .safetensors_file import from_bfloat16
from .state_dict import state_of
from .store import stored_entries
from .unpickle import Opaque, Unpickler

STORAGES = {"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
            "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1",
            "ByteStorage": "u1", "BoolStorage": "?"}


def read_arrays(path, entry=None):
    """The `State` of a file that holds a state dictionary, as `state_dict.tensors_of` says.

    Tensors are views of their storages, by any strides that stay inside;
    bfloat16 becomes float32. Raises InputError for anything else.
    """
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("/constants.pkl") or "/code/" in name for name in archive.namelist()):
            raise InputError("it is a TorchScript program, which would have to be run: save model.state_dict() instead")
        entries = stored_entries(archive)
        pickles = [name for name in entries if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InputError("it does not hold one pickled state dictionary")
        prefix = pickles[0].removesuffix("data.pkl")
        order = entries.get(prefix + "byteorder")
        if order and archive.read(order).strip() != b"little":
            raise InputError("it was written by a big-endian machine, which is not read here")
        storages = _storage_reader(archive, entries, prefix)
        saved = Unpickler(archive.read(entries[pickles[0]]), TORCH, storages, opaque=True).load()
    return state_of(saved, np.ndarray, entry)


def _storage_reader(archive, entries, prefix):
    """A function from a persistent id ("storage", type, key, location, count) to its array.

    Each storage is read once; reading checks its entry's CRC.
    """
    known = {}

    def read(identity):
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise InputError("its pickle refers to something that is not a storage")
        _, kind, key, _, count = identity
        refuse_opaque(kind, key)
        kind = getattr(kind, "call", None)
        entry = entries.get(f"{prefix}data/{key}") if isinstance(key, str) else None
        if not isinstance(kind, StorageType) or entry is None:
            raise InputError(f"its storage {str(key)[:20]} is missing, or of a type that is not read here")
        if known.setdefault(key, (kind, None))[0] is not kind:
            raise InputError(f"its storage {key} is of two types")
        if known[key][1] is None:
            data = archive.read(entry)
            if len(data) % kind.dtype.itemsize:
                raise InputError(f"its storage {key} does not hold whole numbers")
            array = np.frombuffer(data, kind.dtype)
            known[key] = kind, from_bfloat16(array) if kind.bfloat16 else array
        array = known[key][1]
        if type(count) is not int or not 0 <= count <= len(array):
            raise InputError(f"its storage {key} is shorter than it says")
        return array[:count]

    return read


def refuse_opaque(kind, key):
    """InputError for a storage of a type that is not read."""
    if isinstance(kind, Opaque):
        raise InputError(f"its storage {str(key)[:20]} is of {kind.name[:60]}, which is not read here: refused")


class StorageType:
    """torch.FloatStorage and its kin: only a name for a type of number, never called."""

    def __init__(self, name):
        self.dtype, self.bfloat16 = np.dtype(STORAGES[name]), name == "BFloat16Storage"

    def __call__(self, *_):
        raise InputError("its pickle makes a storage of its own: refused")


def strided_view(storage, offset, size, stride, *_):
    """torch._utils._rebuild_tensor_v2: a strided view of a storage, inside of it."""
    whole = (type(offset), *map(type, size), *map(type, stride))
    if not isinstance(storage, np.ndarray) or set(whole) != {int} \
            or not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride) \
            or len(size) > 8 or min((offset, *size, *stride)) < 0:
        raise InputError("a tensor's description is damaged")
    last = offset + sum((side - 1) * step for side, step in zip(size, stride))
    count = math.prod(size)
    # Expanded tensors (stride 0) can be of any size in a few bytes; weights never are.
    if count > len(storage) or (count and last >= len(storage)):
        raise InputError("a tensor reaches beyond its storage")
    return np.lib.stride_tricks.as_strided(
        storage[offset:], size, [step * storage.itemsize for step in stride], writeable=False)


def _rebuild_parameter(tensor, *_):
    """torch._utils._rebuild_parameter: the tensor itself, whether it needs gradients or not."""
    if not isinstance(tensor, np.ndarray):
        raise InputError("a parameter is not a tensor")
    return tensor


def _ordered_dictionary(*pairs):
    if pairs:
        raise InputError("its pickle fills a dictionary in a way that PyTorch does not: refused")
    return {}


TORCH = {("collections", "OrderedDict"): _ordered_dictionary,
         ("torch._utils", "_rebuild_tensor_v2"): strided_view,
         ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
         **{("torch", name): StorageType(name) for name in STORAGES}}
