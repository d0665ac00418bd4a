"""The safetensors format: the length of a JSON header (8 bytes), the header, then plain bytes.

Specification: https://github.com/huggingface/safetensors#format
"""

import json
import mmap
import os

import numpy as np

from cam_base import InputError

MAX_HEADER = 100_000_000  # the specification's own
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
          "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}


def read_arrays(path):
    """{name: view of the file}; bfloat16 becomes float32. InputError when the header contradicts the file."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, MAX_HEADER):
            raise InputError("its header is longer than the file: truncated or damaged")
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_without_repetition)
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[8 + length:]
    if not isinstance(header, dict):
        raise InputError("its header is not a dictionary")
    header.pop("__metadata__", None)
    covered = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        # Without holes or overlaps, what is read is never more than the file.
        if begin != covered or not begin <= end <= len(data):
            raise InputError(f"{name[:60]} does not lie where the tensor before it ends")
        covered = end
    if covered != len(data):
        raise InputError("its tensors do not fill the file: truncated or damaged")
    return {name: _array(name, entry, data) for name, entry in header.items()}


def _without_repetition(pairs):
    dictionary = dict(pairs)
    if len(dictionary) != len(pairs):
        raise InputError("its header names something twice")
    return dictionary


def _array(name, entry, data):
    if entry["dtype"] not in DTYPES:
        raise InputError(f"{name[:60]} is of the type {str(entry['dtype'])[:20]}, which is not read here")
    dtype, shape = np.dtype(DTYPES[entry["dtype"]]), entry["shape"]
    begin, end = entry["data_offsets"]
    if not all(type(side) is int and side >= 0 for side in shape) \
            or int(np.prod(shape, dtype=object)) * dtype.itemsize != end - begin:
        raise InputError(f"{name[:60]} does not hold its shape")
    array = np.frombuffer(data[begin:end], dtype).reshape(shape)
    return from_bfloat16(array) if entry["dtype"] == "BF16" else array


def from_bfloat16(bits):
    """float32 from the uint16 that holds its upper half."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
