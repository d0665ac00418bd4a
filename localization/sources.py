"""What people call a picture: a file's path, a PIL image, an array."""

import os
from typing import NamedTuple

import numpy as np

from cam_base import InputError
from cam_data import LARGEST_PICTURE, on_white, pixels_of, read_reduced


class Picture(NamedTuple):
    """pixels uint8 [H, W, 3], RGB, upright; size (height, width) of the whole picture, which pixels may show smaller; state, of a
    file, another when it was written since."""

    pixels: np.ndarray
    size: tuple
    state: tuple | None = None


def read(source, largest=LARGEST_PICTURE, reduce_to=None, keep_shape=False):
    """The Picture of a path, a PIL image, or an array or tensor: uint8, or float in [0, 1]; [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].

    largest    most pixels; a file with more is refused before it is decoded
    reduce_to  pixels of a side that are enough, for a large file, and whether both sides are reduced
    keep_shape by one factor (`cam_data.read_reduced`)

    EXIF orientation is honoured; what is transparent is seen on white, a PIL image's greys of more than 8 bits
    from their least to their largest value, as a file's are. Raises InputError
    for a file that cannot be read, ValueError for an array that is no picture.
    """
    if isinstance(source, (str, os.PathLike)):
        state = _state(source)
        return Picture(*read_reduced(os.fspath(source), reduce_to, largest, keep_shape=keep_shape), state)
    if hasattr(source, "convert") and hasattr(source, "getexif"):
        pixels = _from_pillow(source)
    else:
        pixels = _from_array(source)
    return Picture(pixels, pixels.shape[:2])


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
    from PIL import ImageOps
    try:
        return pixels_of(ImageOps.exif_transpose(image))
    except Exception as error:  # Pillow decodes only now, and raises many kinds for damaged files
        raise InputError(f"this PIL image cannot be decoded ({str(error)[:100]})") from None


def _from_array(source):
    if source is None or isinstance(source, (bytes, bytearray, list, tuple, dict, set)):
        raise ValueError(f"a picture is a path, a PIL image or an array; this one is a {type(source).__name__}"
                         + (": `stream` takes several pictures" if isinstance(source, (list, tuple)) else ""))
    array = np.asarray(source)
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
    return np.ascontiguousarray(array)
