"""What `torch.save` writes, whatever is around the tensors: tests do without PyTorch."""

import contextlib
import io
import pickle
import sys
import types
import zipfile

import numpy as np

STORAGES = {"f8": "DoubleStorage", "f4": "FloatStorage", "f2": "HalfStorage", "i8": "LongStorage"}


class Tensor:
    """An array that is pickled as PyTorch pickles a tensor."""

    def __init__(self, array):
        self.array = np.ascontiguousarray(array)


class Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


@contextlib.contextmanager
def torch_module():
    """Modules by the names that are written; nothing of them does anything."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise AssertionError("never called")

    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield torch, utils
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class Writer(pickle.Pickler):
    def __init__(self, file, torch, utils, storages):
        super().__init__(file, 2)
        self.torch, self.utils, self.storages = torch, utils, storages

    def reducer_override(self, value):
        if not isinstance(value, Tensor):
            return NotImplemented
        key = str(len(self.storages))
        self.storages[key] = value.array
        strides = tuple(step // value.array.itemsize for step in value.array.strides)
        return self.utils._rebuild_tensor_v2, (Storage(key, value.array), 0, value.array.shape, strides, False, {})

    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", getattr(self.torch, STORAGES[value.array.dtype.str[1:]]), value.key, "cpu", value.array.size)
        return None


def tensors(arrays, prefix=""):
    """A state dictionary of arrays, each name with a prefix."""
    return {prefix + name: Tensor(array) for name, array in arrays.items()}


def save(path, value, mutated=lambda pickled: pickled):
    """Write anything that can be pickled, with Tensors in it; `mutated` changes the pickle before the zip file's checksums are made."""
    file, storages = io.BytesIO(), {}
    with torch_module() as (torch, utils):
        Writer(file, torch, utils, storages).dump(value)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", mutated(file.getvalue()))
        archive.writestr("archive/byteorder", "little")
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
    return str(path)
