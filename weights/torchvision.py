"""torchvision's ResNets: names, order of axes, preprocessing.

Source: torchvision.models.resnet, and the `transforms` of its `ResNet50_Weights`.
"""

import re
from dataclasses import replace

from cam_base import InputError, Preprocessing
from weights.ilsvrc import categories
from weights.layout import Foreign, resnet_depth, resnet_units
from weights.store import Weights

HWIO = (2, 3, 1, 0)  # where our axes are in PyTorch's OIHW
# IMAGENET1K_V1; V2 resizes the shorter side to 232.
PREPROCESSING = Preprocessing(size=224, interpolation="bilinear", antialias=True, centre_crop=256)
V2_CENTRE_CROP = 232
NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}


def convert(arrays, second_recipe=False):
    """Weights of a ResNet from its state dictionary, {name: array}.

    second_recipe: whether it is one of torchvision's IMAGENET1K_V2, which were
    evaluated with another resize. Raises InputError for any other network.
    """
    # How many batches the statistics come from changes nothing in inference.
    foreign = Foreign({name: array for name, array in arrays.items()
                       if not name.endswith(".num_batches_tracked")})
    depth, width = resnet_depth(_blocks(foreign)), foreign.shape("conv1.weight")[0]
    tensors = {}
    for path, part, convolution, norm, shape in resnet_units(depth, width):
        kernel_name, norm_name = _names(path, part)
        tensors[f"{convolution}/kernel"] = foreign.take(f"{kernel_name}.weight", shape, HWIO)
        for ours, theirs in NORM.items():
            tensors[f"{norm}/{ours}"] = foreign.take(f"{norm_name}.{theirs}", shape[3:])
    classes = []
    if "fc.weight" in foreign:
        outputs = foreign.shape("fc.weight")[0]
        tensors["head/kernel"] = foreign.take("fc.weight", (32 * width, outputs), (1, 0))
        tensors["head/bias"] = foreign.take("fc.bias", (outputs,))
        classes = categories(outputs)
    foreign.finish()
    network = {"name": "resnet", "depth": depth, "width": width, "stem": "7x7/4", "stride_on": "3x3",
               "output_stride": 32, "epsilon": 1e-5}
    preprocessing = replace(PREPROCESSING, centre_crop=V2_CENTRE_CROP) if second_recipe else PREPROCESSING
    return Weights(network, tensors, classes, preprocessing, {"origin": f"torchvision ResNet-{depth}"})


def _blocks(foreign):
    blocks = [0, 0, 0, 0]
    for name in foreign.left:
        match = re.fullmatch(r"layer([1-4])\.(\d{1,3})\.conv3\.weight", name)
        if match:
            stage = int(match[1]) - 1
            blocks[stage] = max(blocks[stage], int(match[2]) + 1)
    if not any(blocks):
        raise InputError("its tensors are not those of a torchvision ResNet with bottleneck blocks "
                         "(it has no layer1.0.conv3.weight)")
    return blocks


def _names(path, part):
    if path is None:
        return "conv1", "bn1"
    block = f"layer{path[0] + 1}.{path[1]}"
    if part == "project":
        return f"{block}.downsample.0", f"{block}.downsample.1"
    return f"{block}.{part}", f"{block}.{part.replace('conv', 'bn')}"
