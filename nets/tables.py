"""What the networks are called, and how large they are. No TensorFlow: weights files and `--help` are read without it."""

import math
from typing import NamedTuple

NAMES = ("alexnet", "efficientnet-lite", "resnet")

# Blocks of the four stages, by depth. 26 is the smallest of this family.
RESNET_BLOCKS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# Of the shallower ones, whose blocks have two convolutions of 3x3.
BASIC_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class LiteStage(NamedTuple):
    """A row of table 1 of Tan and Le, ICML 2019: blocks, side of the depthwise kernel, stride of the first, and so on."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


class LiteVariant(NamedTuple):
    """Factors of the stages' width and depth, side of the input in pixels, and dropout in front of the linear layer."""

    width: float
    depth: float
    size: int
    dropout: float


LITE_STAGES = (
    LiteStage(1, 3, 1, 1, 16),
    LiteStage(2, 3, 2, 6, 24),
    LiteStage(2, 5, 2, 6, 40),
    LiteStage(3, 3, 2, 6, 80),
    LiteStage(3, 5, 1, 6, 112),
    LiteStage(4, 5, 2, 6, 192),
    LiteStage(1, 3, 1, 6, 320),
)
LITE_VARIANTS = (LiteVariant(1.0, 1.0, 224, 0.2), LiteVariant(1.0, 1.1, 240, 0.2), LiteVariant(1.1, 1.2, 260, 0.3))
# Of all variants: channels of the stem and of the features, epsilon of batch normalisation.
LITE_STEM, LITE_FEATURES, LITE_EPSILON = 32, 1280, 1e-3


def lite_stages(variant):
    """The table's rows for variant 0, 1 or 2.

    Widths are rounded to the nearest multiple of 8 (by the publication's code never by more than a tenth downwards:
    of these variants' none would be); numbers of blocks are rounded up, but for the first and the last stage's.
    """
    factors, last = LITE_VARIANTS[variant], len(LITE_STAGES) - 1
    for number, stage in enumerate(LITE_STAGES):
        width = 8 * int(stage.width * factors.width / 8 + 0.5)
        blocks = stage.blocks if number in (0, last) else math.ceil(stage.blocks * factors.depth)
        yield stage._replace(blocks=blocks, width=width)
