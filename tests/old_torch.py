"""Files as `torch.save` wrote them before PyTorch 1.6, opcode by opcode: tests do without PyTorch."""

import pickle
import struct

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
STORAGES = {"f8": b"DoubleStorage", "f4": b"FloatStorage", "f2": b"HalfStorage", "i8": b"LongStorage"}
ORDERED = b"ccollections\nOrderedDict\n)R"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(value):
    return b"J" + struct.pack("<i", value)


def wholes(values):
    return b"(" + b"".join(map(whole, values)) + b"t"


def storage(key, kind, count):
    """The persistent id of a storage."""
    return b"(" + text("storage") + b"ctorch\n" + kind + b"\n" + text(key) + text("cpu") + whole(count) + b"NtQ"


def tensor(key, array, before_0_4=False):
    """A tensor that is all of its storage; before 0.4, floating-point ones are parameters, with a state behind them."""
    place = (storage(key, STORAGES[array.dtype.str[1:]], array.size) + whole(0) + wholes(array.shape)
             + wholes(step // array.itemsize for step in array.strides))
    if before_0_4:
        made = b"ctorch._utils\n_rebuild_tensor\n(" + place + b"tR"
        is_parameter = array.dtype.kind == "f"
        return b"ctorch.nn.parameter\nParameter\n" + made + b"\x85R\x88\x89" + ORDERED + b"\x87b" if is_parameter else made
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + place + b"\x89" + ORDERED + b"tR"


def document(state, storages, *, magic=MAGIC, version=VERSION, machine=MACHINE, keys=None):
    """A file's bytes. state: a pickle; storages: {key: array}; keys: of the storages, where they are to be others."""
    keys = sorted(storages) if keys is None else keys
    return (b"".join(pickle.dumps(value, 2) for value in (magic, version, machine)) + state + pickle.dumps(keys, 2)
            + b"".join(struct.pack("<q", array.size) + array.tobytes() for _, array in sorted(storages.items())))


def state_of(arrays, before_0_4=False):
    """The pickled state dictionary of {name: array}, and its {key: array}."""
    storages = {str(1000 + number): np.ascontiguousarray(array) for number, array in enumerate(arrays.values())}
    items = b"".join(text(name) + tensor(key, array, before_0_4)
                     for name, (key, array) in zip(arrays, storages.items()))
    return b"\x80\x02" + ORDERED + b"(" + items + b"u.", storages


def write(path, arrays, before_0_4=False):
    with open(path, "wb") as file:
        file.write(document(*state_of(arrays, before_0_4)))
