"""ResNet (He et al., CVPR 2016, table 1), also with wide bottlenecks (Zagoruyko and Komodakis, BMVC 2016)."""

from ops.quiet_tensorflow import tf
from .layers import BatchNorm, Conv, Linear, conv_norm, initial_numbers, pooling_of
from .tables import BASIC_BLOCKS, RESNET_BLOCKS

# Kernel, stride, and whether a 3x3 max-pool of stride 2 follows.
STEMS = {"7x7/4": (7, 2, True), "3x3/2": (3, 2, False), "3x3/1": (3, 1, False)}
EXPANSION = 4


class Bottleneck(tf.Module):
    """relu(shortcut(x) + conv1x1(conv3x3(conv1x1(x)))), each with batch normalisation.

    widen  channels of the 3x3, as a multiple of `width`
    """

    def __init__(self, in_channels, width, *, stride, dilation, stride_on, rng, epsilon, widen=1, name=None):
        super().__init__(name=name)
        out_channels, inner = EXPANSION * width, widen * width
        first, second = (stride, 1) if stride_on == "1x1" else (1, stride)

        def unit(*shape, gamma=1.0, **options):
            return (Conv(*shape, rng=rng, **options),
                    BatchNorm(shape[1], epsilon=epsilon, initial_gamma=gamma))

        self.conv1, self.norm1 = unit(in_channels, inner, 1, stride=first)
        self.conv2, self.norm2 = unit(inner, inner, 3, stride=second, dilation=dilation)
        # A block begins as the identity (Goyal et al., 2017, section 5.1).
        self.conv3, self.norm3 = unit(inner, out_channels, 1, gamma=0.0)
        self.project, self.project_norm = (
            unit(in_channels, out_channels, 1, stride=stride)
            if in_channels != out_channels or stride > 1 else (None, None))

    def __call__(self, x, training):
        shortcut = x if self.project is None else conv_norm(self.project, self.project_norm, x, training)
        y = tf.nn.relu(conv_norm(self.conv1, self.norm1, x, training))
        y = tf.nn.relu(conv_norm(self.conv2, self.norm2, y, training))
        return tf.nn.relu(conv_norm(self.conv3, self.norm3, y, training) + shortcut)


class Basic(tf.Module):
    """relu(shortcut(x) + conv3x3(conv3x3(x))), each with batch normalisation; the first has the stride.

    dilations  of the two
    """

    def __init__(self, in_channels, width, *, stride, dilations, rng, epsilon, name=None):
        super().__init__(name=name)

        def unit(*shape, gamma=1.0, **options):
            return (Conv(*shape, rng=rng, **options), BatchNorm(shape[1], epsilon=epsilon, initial_gamma=gamma))

        self.conv1, self.norm1 = unit(in_channels, width, 3, stride=stride, dilation=dilations[0])
        self.conv2, self.norm2 = unit(width, width, 3, dilation=dilations[1], gamma=0.0)
        self.project, self.project_norm = (
            unit(in_channels, width, 1, stride=stride) if in_channels != width or stride > 1 else (None, None))

    def __call__(self, x, training):
        shortcut = x if self.project is None else conv_norm(self.project, self.project_norm, x, training)
        y = tf.nn.relu(conv_norm(self.conv1, self.norm1, x, training))
        return tf.nn.relu(conv_norm(self.conv2, self.norm2, y, training) + shortcut)


def _strides_and_dilations(stem_stride, output_stride, stride_on):
    """Stride of each stage's first block; dilation of its first and of its other blocks.

    Stages that would shrink the map below picture / output_stride keep its
    size. What lies behind a stride taken out is dilated by it, so each kernel
    still meets the positions it was trained on. In v1.5 the 3x3 that loses its
    stride still reads the undilated map in front of it; in v1 it stood behind
    the strided 1x1, and is dilated like the rest.
    """
    natural = 8 * stem_stride
    if output_stride not in (natural, natural // 2, natural // 4):
        raise ValueError(f"output_stride is {output_stride}; with this stem it must be "
                         f"{natural}, {natural // 2} or {natural // 4}")
    stride_so_far, dilation, plan = stem_stride, 1, []
    for wanted in (1, 2, 2, 2):
        before = dilation
        if stride_so_far * wanted > output_stride:
            dilation, wanted = dilation * wanted, 1
        stride_so_far *= wanted
        plan.append((wanted, before if stride_on == "3x3" else dilation, dilation))
    return plan


class ResNet(tf.Module):
    """Stem, four stages of blocks, global average pooling, one linear layer.

    classes        number of classes
    depth          18 or 34 (blocks of two convolutions); 26, 50, 101 or 152 (bottlenecks)
    width          channels of the first stage; the last stage has 32 width features, 8 width of 18 and 34
    widen          1; 2: bottlenecks of twice as many channels inside, as Wide ResNet-50-2 has
    stem           "7x7/4" (published weights), or "3x3/2", "3x3/1" for 32-64 pixel pictures
    stride_on      "3x3": v1.5, torchvision; "1x1": v1, the publication and Keras
    output_stride  picture size over map size: the stem's times 8, 4 or 2
    epsilon        of batch normalisation: torchvision 1e-5, Keras 1.001e-5
    pooling        "average", or "max" to compare with
    """

    frozen = "pooled"  # the intermediate behind which transfer trains anew
    head_layers = ("head",)
    defaults = {"depth": 26, "width": 32, "stem": "3x3/2", "output_stride": 8, "pooling": "average"}

    def __init__(self, classes, *, depth=50, width=64, widen=1, stem="7x7/4", stride_on="3x3",
                 output_stride=32, epsilon=1e-5, pooling="average", seed=0):
        super().__init__(name="resnet")
        blocks_of = RESNET_BLOCKS | BASIC_BLOCKS
        for value, known, what in ((depth, blocks_of, "depth"), (widen, (1,) if depth in BASIC_BLOCKS else (1, 2), "widen"), (stem, STEMS, "stem"),
                                   (stride_on, ("1x1", "3x3"), "stride_on")):
            if value not in known:
                raise ValueError(f"{what} is {value!r}; known are {', '.join(map(repr, known))}")
        if not isinstance(width, int) or not 1 <= width <= 512:
            raise ValueError(f"width is {width!r}; it must be a whole number from 1 to 512")
        if not isinstance(epsilon, float) or not 0 < epsilon < 1:
            raise ValueError(f"epsilon is {epsilon!r}; it must be a number between 0 and 1")
        self.pool = pooling_of(pooling)
        rng = initial_numbers(seed)
        size, stride, self.pool_stem = STEMS[stem]
        self.stem = Conv(3, width, size, stride=stride, rng=rng)
        self.stem_norm = BatchNorm(width, epsilon=epsilon)
        self.smallest, self.output_stride = 1, output_stride
        self.stages, channels = [], width
        plan = _strides_and_dilations(stride * (2 if self.pool_stem else 1), output_stride, stride_on)
        for stage, (blocks, (stride, first_dilation, dilation)) in enumerate(zip(blocks_of[depth], plan)):
            self.stages.append([])
            for block in range(blocks):
                stride_of, dilation_of = (stride, first_dilation) if block == 0 else (1, dilation)
                if depth in BASIC_BLOCKS:
                    self.stages[-1].append(Basic(channels, width << stage, stride=stride_of, dilations=(dilation_of, dilation),
                                                 rng=rng, epsilon=epsilon))
                else:
                    self.stages[-1].append(Bottleneck(channels, width << stage, stride=stride_of, dilation=dilation_of,
                                                      stride_on=stride_on, rng=rng, epsilon=epsilon, widen=widen))
                channels = (1 if depth in BASIC_BLOCKS else EXPANSION) * (width << stage)
        self.head = Linear(channels, classes, rng=rng)

    def __call__(self, pictures, training=False):
        """Logits, float32 [N, classes], and a dictionary of every named intermediate.

        pictures: [N, H, W, 3] in the dtype to compute in, preprocessed as the
        weights ask. The intermediates are "stem", "stage1" to "stage4",
        "features" (the last stage, [N, h, w, C]) and "pooled" (float32 [N, C]).
        """
        x = tf.nn.relu(conv_norm(self.stem, self.stem_norm, pictures, training))
        if self.pool_stem:
            # XLA has no max-pool with explicit padding. Behind a ReLU, zeros never win.
            x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        named = {"stem": x}
        for number, blocks in enumerate(self.stages, 1):
            for block in blocks:
                x = block(x, training)
            named[f"stage{number}"] = x
        named["features"] = x
        named["pooled"] = self.pool(x)
        return self.head(named["pooled"]), named

    def behind_frozen(self, pooled, training=False):
        """Logits from the "pooled" intermediate: what is left to train when the features are frozen."""
        return self.head(pooled)

    def grid(self, size):
        """Where the map's cells lie in an input of any size, as `ops.upsample` takes it."""
        # Every stride keeps the samples that lie at its multiples, from the first on.
        return 0.5, self.output_stride

    @staticmethod
    def usual_size(**_):
        """Side of the input, in pixels, where a network is trained from nothing."""
        return 64
