"""What people call a picture: a file's path, its bytes, a file that is open, a PIL image, an array."""

import io
import os
from typing import NamedTuple

import numpy as np

from cam_base import InputError
from cam_data import LARGEST_PICTURE, on_white, pixels_of, read_reduced, turn_upright

ORIENTATION = 0x0112  # of EXIF
# Of a file that is open, so many bytes are read: 8 a pixel of the largest picture, and profiles and previews.
BYTES_OF_PIXEL, BYTES_BESIDES, BLOCK = 8, 32_000_000, 1 << 24


class Picture(NamedTuple):
    """pixels uint8 [H, W, 3], RGB, upright; size (height, width) of the whole picture, which pixels may show smaller; state, of a
    file, another when it was written since."""

    pixels: np.ndarray
    size: tuple
    state: tuple | None = None


class Contents(NamedTuple):
    """The bytes of a picture's file, and what errors call it."""

    data: bytes
    name: str = "these bytes"


def take(source, largest=LARGEST_PICTURE):
    """A picture as it is now, whatever becomes of the source later, for `read`: a path, Contents, or uint8 [H, W, 3].

    source   a path, a file's bytes, a file that is open for reading bytes, a PIL image, or an array or tensor: uint8, or
             float in [0, 1]; [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]. RGB: OpenCV's arrays are BGR, and want `array[..., ::-1]`
    largest  most pixels of a picture, by which a file that is open may have so many bytes
    raises   InputError for a file or a PIL image that cannot be read, ValueError for an array that is no picture

    EXIF orientation is honoured; what is transparent is seen on white, a PIL image's greys of more than 8 bits as a file's are.
    """
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Contents(bytes(source))
    if hasattr(source, "convert") and hasattr(source, "getexif"):
        return _from_pillow(source)
    if hasattr(source, "read") and not hasattr(source, "__array__"):
        return _from_file(source, BYTES_OF_PIXEL * largest + BYTES_BESIDES)
    return _from_array(source)


def read(source, largest=LARGEST_PICTURE, reduce_to=None, keep_shape=False):
    """The Picture of what `take` takes, or has given.

    largest    most pixels; a file with more is refused before it is decoded
    reduce_to  pixels of a side that are enough, for a large file, and whether both sides are reduced
    keep_shape by one factor (`cam_data.read_reduced`)
    raises     as `take`
    """
    taken = source if isinstance(source, Contents) else take(source, largest)
    if isinstance(taken, str):
        state = _state(taken)
        return Picture(*read_reduced(taken, reduce_to, largest, keep_shape=keep_shape), state)
    if isinstance(taken, Contents):
        return Picture(*read_reduced(taken.data, reduce_to, largest, keep_shape=keep_shape, name=taken.name))
    return Picture(taken, taken.shape[:2])


def _state(path):
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # its reader says why
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def describe(source):
    """The source in a few words: a path as it is, anything else by its kind."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return f"{type(source).__name__} {getattr(source, 'shape', getattr(source, 'size', ''))}".strip()


def _from_pillow(image):
    try:
        pixels = pixels_of(image)
        found = image.getexif().get(ORIENTATION, 1)  # of a TIFF Pillow has undone it by now
    except Exception as error:  # Pillow decodes only now, and raises many kinds for damaged files
        raise InputError(f"this PIL image cannot be decoded ({str(error)[:100]})") from None
    return turn_upright(pixels, found if isinstance(found, int) else 1)


def _from_file(file, most):
    """Contents of a binary file, from its beginning where it can be sought in."""
    name = getattr(file, "name", None)
    name = name if isinstance(name, str) else "this file"
    if isinstance(file, io.TextIOBase):
        raise ValueError(f"{name}: is open as text; a picture is bytes: open(path, 'rb')")
    parts, left = [], most + 1
    try:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        while left and (part := file.read(min(left, BLOCK))):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error})") from None
    if not left:
        raise InputError(f"{name}: has more than {most:,} bytes; so many are read at most")
    return Contents(b"".join(parts), name)


def _from_array(source):
    if source is None or isinstance(source, (list, tuple, dict, set)):
        raise ValueError(f"a picture is a path, a file's bytes, a PIL image or an array; this one is a {type(source).__name__}"
                         + (": `stream` takes several pictures, and without their labels" if isinstance(source, (list, tuple)) else ""))
    array = np.asarray(source)
    if array.dtype.kind in "SU" or array.dtype == object and isinstance(next(iter(array.flat), None), (bytes, str)):
        raise ValueError("a picture is a path, a file's bytes, a PIL image or an array; this one is a tensor or array of strings: "
                         "give tensor.numpy().decode() for a path, tensor.numpy() for a file's bytes")
    shape = array.shape
    if array.ndim == 3 and shape[2] == 1:
        array, shape = array[..., 0], shape[:2]
    if array.ndim not in (2, 3) or array.ndim == 3 and shape[2] not in (3, 4) or 0 in shape:
        raise ValueError(f"a picture is [H, W], [H, W, 3] or [H, W, 4], channels last; this one is {list(shape)}"
                         + (": take one of a batch by [0]" if array.ndim == 4 else ""))
    if array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):  # fails for NaN, too
            cure = ("some of its values are no numbers" if np.isnan(array).any() else
                    "undo its normalisation, or give uint8" if array.min() < 0 else "divide it by 255, or give uint8")
            raise ValueError(f"a float picture is in [0, 1]; this one reaches from {array.min():g} to {array.max():g}: {cure}")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ValueError(f"a picture is uint8, or float in [0, 1]; this one is {array.dtype}: convert it first")
    if array.ndim == 2:
        array = array[..., None].repeat(3, axis=2)
    if array.shape[2] == 4:
        from PIL import Image
        return on_white(Image.fromarray(array))
    return np.array(array, order="C")
