"""BVLC AlexNet as the University of Toronto converted it: a pickled dictionary in a .npy file.

{'conv1': [W, b], ..., 'fc8': [W, b]}, W in HWIO; conv2, conv4 and conv5 have
half of their input channels, as they work in two groups. Written by Python 2.
Other conversions have {'conv1': {'weights': W, 'biases': b}, ...}.
Source: https://www.cs.toronto.edu/~guerzhoy/tf_alexnet/
"""

import math
import mmap

import numpy as np

from cam_base import InputError, Preprocessing
from .layout import Foreign
from .store import Weights
from .unpickle import Buildable, Unpickler

# Kernels of the layers that class activation mapping keeps; fc6 to fc8 are left where they are.
KERNELS = {"conv1": (11, 11, 3, 96), "conv2": (5, 5, 48, 256), "conv3": (3, 3, 256, 384),
           "conv4": (3, 3, 192, 384), "conv5": (3, 3, 192, 256)}

# Caffe's ilsvrc_2012_mean.npy averaged over its pixels. BVLC resized all pictures to
# 256 x 256 by ImageMagick, which filters, and cut 227 out.
PREPROCESSING = Preprocessing(
    size=227, channels="BGR", scale=1.0, mean=(104.00698793, 116.66876762, 122.67891434),
    deviation=(1.0, 1.0, 1.0), interpolation="bilinear", antialias=True, centre_crop=256, squashed=True)


def read(path):
    """The convolutions of the file; no classes: its fully connected layers are not used."""
    with open(path, "rb") as file:
        foreign = _convolutions(_pickled_dictionary(file))
    tensors = {}
    for layer, shape in KERNELS.items():
        tensors[f"{layer}/kernel"] = foreign.take(f"{layer} weights", shape)
        tensors[f"{layer}/bias"] = foreign.take(f"{layer} biases", shape[3:])
    return Weights({"name": "alexnet", "head": "gap", "conv5_units": 256}, tensors, [], PREPROCESSING,
                   {"origin": "BVLC AlexNet, converted by the University of Toronto"})


def _pickled_dictionary(file):
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise InputError(f"it is in version {version} of the .npy format, not 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype != object or shape != ():
        raise InputError(f"it is an array of {dtype}, not a dictionary of layers as AlexNet's conversions are")
    # Mapped, not read: what is not used costs no memory. It is unmapped with the last view of it.
    data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    outer = Unpickler(data[file.tell():], NUMPY).load()
    items = outer.state[4] if isinstance(outer, PickledArray) and outer.state else None
    if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
        raise InputError("it does not hold one dictionary of layers")
    return items[0]


def _convolutions(layers):
    found = {}
    for layer in KERNELS:
        pair = layers.get(layer)
        if isinstance(pair, dict):
            pair = [pair.get("weights"), pair.get("biases")]
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise InputError(f"it has no weights and biases of {layer}: it is not an AlexNet")
        for array, what in zip(pair, ("weights", "biases")):
            if not isinstance(array, PickledArray):
                raise InputError(f"the {what} of {layer} are not an array")
            found[f"{layer} {what}"] = array.array()
    return Foreign(found)


class PickledType(Buildable):
    """numpy.dtype('f4', ...), completed by the byte order in its state."""

    def __init__(self, code, *_):
        if code not in ("f2", "f4", "f8", "O", "O8", "O4"):
            raise InputError(f"it holds an array of type {str(code)[:20]!r}, not floating-point numbers")
        self.type = np.dtype(object) if code[0] == "O" else np.dtype(code)

    def build(self, state):
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise InputError("the state of an array's type is damaged")
        if self.type != object:
            self.type = self.type.newbyteorder(state[1])


class PickledArray(Buildable):
    """numpy.ndarray, whose state comes later: (version, shape, type, Fortran order, contents)."""

    def __init__(self, *_):
        self.state = None

    def build(self, state):
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], PickledType):
            raise InputError("the state of an array is damaged")
        self.state = state

    def array(self):
        """Its numbers, as a view of the file where that is possible; InputError when there are none."""
        if self.state is None or self.state[2].type == object:
            raise InputError("an array of numbers is missing")
        _, shape, kind, fortran, contents = self.state
        if isinstance(contents, str):
            contents = contents.encode("latin-1")
        elif isinstance(contents, EncodedText):
            contents = contents.decode()
        if not isinstance(contents, (bytes, memoryview)) or not isinstance(shape, tuple) \
                or not all(type(side) is int and side >= 0 for side in shape) \
                or math.prod(shape) * kind.type.itemsize != len(contents):
            raise InputError("an array does not hold what its shape says")
        return np.frombuffer(contents, kind.type).reshape(shape, order="F" if fortran else "C")


class EncodedText:
    """_codecs.encode(text, "latin1"): how Python 3 writes bytes in Python 2's protocol, decoded when needed."""

    def __init__(self, text, encoding):
        if not isinstance(text, (str, memoryview)) or encoding != "latin1":
            raise InputError("its pickle encodes something that is not bytes: refused")
        self.text = text

    def decode(self):
        text = self.text if isinstance(self.text, str) else str(self.text, "utf-8")
        return text.encode("latin-1")


NUMPY = {("_codecs", "encode"): EncodedText,
         ("numpy", "dtype"): PickledType,
         ("numpy", "ndarray"): PickledArray,
         ("numpy.core.multiarray", "_reconstruct"): PickledArray,
         ("numpy._core.multiarray", "_reconstruct"): PickledArray}
