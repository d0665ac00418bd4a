"""torchvision's ResNets: names, order of axes, preprocessing.

Source: torchvision.models.resnet, and the `transforms` of its `ResNet50_Weights`.
"""

import re
from dataclasses import replace

import numpy as np

from cam_base import InputError, Preprocessing
from .ilsvrc import categories
from .layout import Foreign, resnet_depth, resnet_features, resnet_units
from .state_dict import linear_layer
from .store import Weights

HWIO = (2, 3, 1, 0)  # where our axes are in PyTorch's OIHW
# IMAGENET1K_V1; V2 resizes the shorter side to 232.
PREPROCESSING = Preprocessing(size=224, interpolation="bilinear", antialias=True, centre_crop=256)
V2_CENTRE_CROP = 232
# Of IMAGENET1K_V2's wide networks, which `weights list` has not, how their SHA-256 begins: their files are called so.
V2_WIDE = "9ba9bcbe", "d733dc28"
NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}


def convert(arrays, beside=None, second_recipe=False):
    """(Weights of a ResNet from its state dictionary, {name: array}, the names of `beside` that were not used).

    beside         arrays outside of the network, among which its linear layer may be
    second_recipe  whether it is one of torchvision's IMAGENET1K_V2, which were
                   evaluated with another resize

    Raises InputError for any other network.
    """
    # How many batches the statistics come from changes nothing in inference.
    foreign = Foreign({name: array for name, array in arrays.items()
                       if not name.endswith(".num_batches_tracked")})
    depth, width, widen = _kind(foreign)
    tensors = {}
    for path, part, convolution, norm, shape in resnet_units(depth, width, widen):
        kernel_name, norm_name = _names(path, part)
        tensors[f"{convolution}/kernel"] = foreign.take(f"{kernel_name}.weight", shape, HWIO)
        for ours, theirs in NORM.items():
            tensors[f"{norm}/{ours}"] = foreign.take(f"{norm_name}.{theirs}", shape[3:])
    outside = Foreign(beside or {})
    head, classes = _head(foreign, outside, resnet_features(depth, width))
    foreign.finish()
    network = {"name": "resnet", "depth": depth, "width": width, "stem": "7x7/4", "stride_on": "3x3",
               "output_stride": 32, "epsilon": 1e-5} | ({"widen": widen} if widen > 1 else {})
    preprocessing = replace(PREPROCESSING, centre_crop=V2_CENTRE_CROP) if second_recipe else PREPROCESSING
    origin = f"torchvision {'Wide ' * (widen > 1)}ResNet-{depth}{'-2' * (widen > 1)}"
    return Weights(network, tensors | head, classes, preprocessing, {"origin": origin}), list(outside.left)


def _kind(foreign):
    """(depth, width, widen) of a ResNet; InputError for what is none, or of a kind that is not built here."""
    blocks, basic = _blocks(foreign), "layer1.0.conv3.weight" not in foreign
    channels = foreign.shape("conv1.weight")[1:2]
    if channels != (3,):
        raise InputError(f"its first layer takes pictures of {channels[0] if channels else 'no'} channels; those of 3 are read here")
    width = foreign.shape("conv1.weight")[0]
    depth = resnet_depth(blocks, basic)
    if basic:
        return depth, width, 1
    inner = foreign.shape("layer1.0.conv1.weight")[0]
    if foreign.shape("layer1.0.conv2.weight")[1:2] != (inner,):
        raise InputError("it is a ResNeXt, with grouped convolutions, which is not built here")
    if inner not in (width, 2 * width):
        raise InputError(f"its blocks have {inner} channels inside, and its stem {width}: no ResNet that is built here")
    return depth, width, inner // width


def _head(foreign, outside, features):
    """({path: array} of the linear layer, its classes); both empty where there is none.

    One logit z is a sigmoid: it becomes -z/2 and z/2, whose softmax it is, with
    the complement's map for the class that it speaks against.
    """
    kernel, bias = linear_layer(foreign.left | outside.left, features)
    if kernel is None:
        return {}, []
    source = foreign if kernel in foreign else outside
    outputs = source.shape(kernel)[0]
    kernel = source.take(kernel, (features, outputs), (1, 0))
    bias = np.zeros(outputs, np.float32) if bias is None else source.take(bias, (outputs,))
    return two_of_one(kernel, bias)


def two_of_one(kernel, bias):
    """({"head/kernel", "head/bias"}, classes); one logit becomes two."""
    if kernel.shape[1] == 1:
        kernel, bias = np.concatenate([-kernel / 2, kernel / 2], axis=1), np.concatenate([-bias / 2, bias / 2])
    return {"head/kernel": kernel, "head/bias": bias}, categories(kernel.shape[1])


def _blocks(foreign):
    blocks = [0, 0, 0, 0]
    for name in foreign.left:
        match = re.fullmatch(r"layer([1-4])\.(\d{1,3})\.conv2\.weight", name)
        if match:
            stage = int(match[1]) - 1
            blocks[stage] = max(blocks[stage], int(match[2]) + 1)
    if not any(blocks):
        raise InputError("its tensors are not those of a torchvision ResNet "
                         "(it has no layer1.0.conv2.weight)")
    return blocks


def _names(path, part):
    if path is None:
        return "conv1", "bn1"
    block = f"layer{path[0] + 1}.{path[1]}"
    if part == "project":
        return f"{block}.downsample.0", f"{block}.downsample.1"
    return f"{block}.{part}", f"{block}.{part.replace('conv', 'bn')}"
