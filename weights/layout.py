"""How our networks' tensors are called and shaped, and how a foreign file's are taken, one by one."""

import numpy as np

from cam_base import InputError
from nets.tables import BASIC_BLOCKS, LITE_FEATURES, LITE_STEM, RESNET_BLOCKS, lite_stages
from .values import check_numbers

NORM_OF = {"conv1": "norm1", "conv2": "norm2", "conv3": "norm3", "project": "project_norm"}


def resnet_units(depth, width, widen=1):
    """(path, part, convolution's path, norm's path, kernel's shape) of each convolution of a ResNet.

    path is (stage, block), None for the stem; part one of the keys of NORM_OF.
    In the order in which the pictures meet them, the projection last.
    """
    yield None, "stem", "stem", "stem_norm", (7, 7, 3, width)
    channels, basic = width, depth in BASIC_BLOCKS
    for stage, blocks in enumerate((BASIC_BLOCKS if basic else RESNET_BLOCKS)[depth]):
        inner, outer = widen * width << stage, (1 if basic else 4) * width << stage
        for block in range(blocks):
            if basic:
                kernels = {"conv1": (3, 3, channels, outer), "conv2": (3, 3, outer, outer)}
            else:
                kernels = {"conv1": (1, 1, channels, inner), "conv2": (3, 3, inner, inner), "conv3": (1, 1, inner, outer)}
            if block == 0 and (channels != outer or stage > 0):
                kernels["project"] = (1, 1, channels, outer)
            for part, shape in kernels.items():
                path = f"stages/{stage}/{block}"
                yield (stage, block), part, f"{path}/{part}", f"{path}/{NORM_OF[part]}", shape
            channels = outer


def resnet_features(depth, width):
    """Channels of a ResNet's last stage."""
    return (8 if depth in BASIC_BLOCKS else 32) * width


def lite_units(variant):
    """(path, part, convolution's path, norm's path, kernel's shape) of each convolution of an EfficientNet-Lite.

    path is (stage, block), None for the stem and for the last convolution; part is "stem", "expand",
    "depthwise" (whose kernel is [size, size, channels, 1]), "project" or "top". In the order in which the
    pictures meet them.
    """
    yield None, "stem", "stem", "stem_norm", (3, 3, 3, LITE_STEM)
    channels = LITE_STEM
    for number, stage in enumerate(lite_stages(variant)):
        for block in range(stage.blocks):
            inner = stage.expansion * channels
            kernels = {"expand": (1, 1, channels, inner)} if stage.expansion > 1 else {}
            kernels |= {"depthwise": (stage.kernel, stage.kernel, inner, 1), "project": (1, 1, inner, stage.width)}
            for part, shape in kernels.items():
                path = f"stages/{number}/{block}/{part}"
                yield (number, block), part, path, f"{path}_norm", shape
            channels = stage.width
    yield None, "top", "top", "top_norm", (1, 1, channels, LITE_FEATURES)


def resnet_depth(blocks, basic=False):
    """The depth whose four stages have so many blocks, of two convolutions (`basic`) or three; InputError when there is none."""
    known = BASIC_BLOCKS if basic else RESNET_BLOCKS
    for depth, of_stages in known.items():
        if tuple(blocks) == of_stages:
            return depth
    raise InputError(f"a ResNet with {', '.join(map(str, blocks))} blocks in its stages is not one that "
                     f"we know ({', '.join(f'ResNet-{depth}' for depth in known)})")


class Foreign:
    """The arrays of another project's file by their names there, each taken once and checked.

    arrays: name -> anything with `shape` and `dtype` that NumPy can read
    (an array, a view of the file, an HDF5 data set). Nothing is read before
    its shape was compared with the one that the network has.
    """

    def __init__(self, arrays):
        self.left = dict(arrays)

    def __contains__(self, name):
        return name in self.left

    def shape(self, name):
        if name not in self.left:
            raise InputError(f"there is no {name} in it: it is of another network, or not complete")
        return tuple(self.left[name].shape)

    def take(self, name, shape, axes=None):
        """float32 array of `shape`, in our order of axes.

        axes: as of np.transpose, from the file's order to ours. Raises
        InputError when it is missing, of another shape, or holds what no
        trained network has (`weights.values`).
        """
        order = tuple(range(len(shape))) if axes is None else axes
        found = self.shape(name)
        if len(found) != len(shape) or tuple(found[axis] for axis in order) != tuple(shape):
            wanted = [0] * len(shape)
            for place, axis in enumerate(order):
                wanted[axis] = shape[place]
            raise InputError(f"{name} has the shape {list(found)}, not {wanted}: it is of another network")
        array = self.left.pop(name)
        if array.dtype.kind != "f":
            raise InputError(f"{name} holds {array.dtype}, not floating-point numbers")
        with np.errstate(over="ignore", under="ignore"):
            array = np.array(np.asarray(array).transpose(order), np.float32, order="C")
        check_numbers(name, array)
        return array

    def finish(self):
        """InputError if anything was not taken: then the file means more than we understood."""
        if self.left:
            raise InputError(f"it also holds {min(self.left)} (and {len(self.left) - 1} more), which this "
                             "network does not have: it is of another network")
