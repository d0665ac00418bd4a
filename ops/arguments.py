"""What callers give, checked: a ValueError names the argument that cannot be taken. NumPy only."""

import operator

import numpy as np

LARGEST_SIDE = 1 << 20  # pixels: what is larger is a mistake, found before memory is taken for it


def real_array(values, name):
    """The values as a NumPy array of real numbers, in their own dtype where that is one of 64 bits or less."""
    try:
        array = np.asarray(values)
    except Exception as error:  # lists of unequal lengths, tensors without values: each has an error of its own
        raise ValueError(f"{name} cannot be made an array of numbers: {error}") from None
    if array.dtype.kind == "V" and array.dtype.names is None and np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32)  # bfloat16
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers; they are {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(np.float64) if array.dtype.itemsize > 8 else array


def real_maps(values, name, axes="h, w"):
    """The values as an array [..., h, w] of real numbers, with at least one row and one column."""
    maps = real_array(values, name)
    if maps.ndim < 2 or 0 in maps.shape[-2:]:
        raise ValueError(f"{name} must be [..., {axes}], neither of them zero; their shape is {maps.shape}")
    return maps


def finite_maps(values, name):
    """The values as a float32 array [..., h, w], all finite."""
    with np.errstate(over="ignore"):
        maps = real_maps(values, name).astype(np.float32, copy=False)
    if not np.isfinite(maps).all():
        raise ValueError(f"{name} have values that are not finite, or too large for float32")
    return maps


def real_map(values, name):
    """The values as an array [h, w] of real numbers, not empty."""
    one = real_array(values, name)
    if one.ndim != 2 or not one.size:
        raise ValueError(f"{name} must be [h, w], h and w not zero; its shape is {one.shape}")
    return one


def real_boxes(values, name):
    """The values as a float64 array [..., 4]."""
    boxes = real_array(values, name)
    if boxes.shape[-1:] != (4,):
        raise ValueError(f"{name} must be boxes [..., 4]; their shape is {boxes.shape}")
    return boxes.astype(np.float64, copy=False)


def whole_array(values, name):
    """The values as an integer array; what has none may have any dtype."""
    array = real_array(values, name)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be whole numbers; they are {array.dtype}")
    return array if array.size else array.astype(int)


def truth_array(values, name):
    """The values as a bool array; of whole numbers, all but 0 are true. Fractions and NaN are neither."""
    array = real_array(values, name)
    if array.size and array.dtype.kind not in "biu":
        raise ValueError(f"{name} must be bool; it is {array.dtype}")
    return array.astype(bool, copy=False)


def listed(values, name):
    """The values as a list."""
    if isinstance(values, (str, bytes)):
        raise ValueError(f"{name} must be a list; it is {shown(values)}")
    try:
        return list(values)
    except TypeError:
        raise ValueError(f"{name} must be a list; it is {shown(values)}") from None


def boxes_of_pictures(values, name):
    """A list of finite float64 arrays [m, 4], one for each picture; m may be 0, and one box may be [4]."""
    boxes = [real_array(some, f"{name}[{number}]") for number, some in enumerate(listed(values, name))]
    for number, some in enumerate(boxes):
        if some.size and some.shape != (4,) and (some.ndim != 2 or some.shape[1] != 4):
            raise ValueError(f"{name}[{number}] must be [m, 4]; its shape is {some.shape}")
        if not np.isfinite(some).all():
            raise ValueError(f"{name}[{number}] has values that are not finite")
    return [some.reshape(-1, 4).astype(np.float64, copy=False) for some in boxes]


def whole(value, name, least=1, most=np.iinfo(np.int64).max):
    """The value as an int from `least` to `most`."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except (TypeError, AttributeError):  # the latter of tensors of other dtypes
        number = None
    if number is None or not least <= number <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}; it is {shown(value)}")
    return number


def side(value, name):
    """The value as a number of pixels."""
    return whole(value, name, 1, LARGEST_SIDE)


def real(value, name):
    """The value as a finite float."""
    number = real_array(value, name)
    if number.ndim or number.dtype.kind == "b" or not np.isfinite(number):
        raise ValueError(f"{name} must be a number; it is {shown(value)}")
    return float(number)


def height_width(size, name="size"):
    """(height, width) of a pair of whole numbers, or of one for both."""
    try:
        sides = tuple(size)
    except TypeError:
        sides = (size, size)
    if len(sides) != 2:
        raise ValueError(f"{name} must be two whole numbers, or one for both sides; it is {shown(size)}")
    return side(sides[0], name), side(sides[1], name)


def shown(value):
    """How a message shows a value: short, in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
