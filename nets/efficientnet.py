"""EfficientNet-Lite: the networks of Tan and Le (ICML 2019) as their authors made them for small devices.

Against the publication, they have no squeeze-and-excitation, ReLU6 is the
activation, and stem and features are as wide in all variants.
Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from ops import gap
from ops.quiet_tensorflow import tf

from .convolution import same_padding
from .layers import BatchNorm, Conv, DepthwiseConv, Linear, conv_norm, dropout, initial_numbers
from .tables import LITE_EPSILON, LITE_FEATURES, LITE_STEM, LITE_VARIANTS, lite_stages

STEM_KERNEL, STEM_STRIDE = 3, 2
OUTPUT_STRIDES = (32, 16, 8)


class InvertedBottleneck(tf.Module):
    """x + conv1x1(depthwise(conv1x1(x))) (Sandler et al., CVPR 2018), each with batch normalisation.

    ReLU6 follows the first two; the first is not there where the expansion is 1,
    and x is added where it has as many channels as what comes out.
    """

    def __init__(self, in_channels, out_channels, kernel, *, stride, dilation, expansion, rng, name=None):
        super().__init__(name=name)
        inner = expansion * in_channels
        if expansion > 1:
            self.expand, self.expand_norm = Conv(in_channels, inner, 1, rng=rng), _norm(inner)
        else:
            self.expand = None
        self.depthwise = DepthwiseConv(inner, kernel, stride=stride, dilation=dilation, rng=rng)
        self.depthwise_norm = _norm(inner)
        self.project, self.project_norm = Conv(inner, out_channels, 1, rng=rng), _norm(out_channels)
        self.adds = in_channels == out_channels

    def __call__(self, x, training):
        y = x if self.expand is None else tf.nn.relu6(conv_norm(self.expand, self.expand_norm, x, training))
        y = tf.nn.relu6(conv_norm(self.depthwise, self.depthwise_norm, y, training))
        y = conv_norm(self.project, self.project_norm, y, training)
        return x + y if self.adds else y


class EfficientNetLite(tf.Module):
    """Stem, seven stages of inverted bottlenecks, a 1x1 convolution, global average pooling, one linear layer.

    classes        number of classes
    variant        0, 1 or 2: EfficientNet-Lite0, -Lite1, -Lite2, made for 224, 240 and 260 pixels
    output_stride  picture size over map size: 32, 16 or 8

    Dropout in front of the linear layer is as published; in training, the
    publication also leaves out whole blocks at random, and this one does not.
    """

    frozen = "pooled"  # the intermediate behind which transfer trains anew
    head_layers = ("head",)
    defaults = {"variant": 0, "output_stride": 32}

    def __init__(self, classes, *, variant=0, output_stride=32, seed=0):
        super().__init__(name="efficientnet_lite")
        if variant not in range(len(LITE_VARIANTS)):
            raise ValueError(f"variant is {variant!r}; known are 0, 1 and 2")
        if output_stride not in OUTPUT_STRIDES:
            raise ValueError(f"output_stride is {output_stride}; it must be 32, 16 or 8")
        rng = initial_numbers(seed)
        self.smallest, self.dropout = 1, LITE_VARIANTS[variant].dropout
        self.stem = Conv(3, LITE_STEM, STEM_KERNEL, stride=STEM_STRIDE, padding="SAME", rng=rng)
        self.stem_norm = _norm(LITE_STEM)
        # Kernel and stride of what makes the map smaller, in order.
        self._shrinking = [(STEM_KERNEL, STEM_STRIDE)]
        self.stages, channels, stride_so_far, dilation = [], LITE_STEM, STEM_STRIDE, 1
        for stage in lite_stages(variant):
            # A stride that would make the map too small is taken out: the first block sees the positions that it
            # was trained on by the dilation before it, and all behind it by twice as much.
            stride, first_dilation = stage.stride, dilation
            if stride_so_far * stride > output_stride:
                stride, dilation = 1, dilation * stage.stride
            stride_so_far *= stride
            if stride > 1:
                self._shrinking.append((stage.kernel, stride))
            self.stages.append([])
            for block in range(stage.blocks):
                self.stages[-1].append(InvertedBottleneck(
                    channels, stage.width, stage.kernel, stride=1 if block else stride,
                    dilation=dilation if block else first_dilation, expansion=stage.expansion, rng=rng))
                channels = stage.width
        self.top, self.top_norm = Conv(channels, LITE_FEATURES, 1, rng=rng), _norm(LITE_FEATURES)
        self.head = Linear(LITE_FEATURES, classes, rng=rng)

    def __call__(self, pictures, training=False):
        """Logits, float32 [N, classes], and a dictionary of every named intermediate.

        pictures: [N, H, W, 3] in the dtype to compute in, preprocessed as the
        weights ask. The intermediates are "stem", "stage1" to "stage7",
        "features" (from 0 to 6, [N, h, w, 1280]) and "pooled" (float32 [N, 1280]).
        """
        named = {"stem": tf.nn.relu6(conv_norm(self.stem, self.stem_norm, pictures, training))}
        x = named["stem"]
        for number, blocks in enumerate(self.stages, 1):
            for block in blocks:
                x = block(x, training)
            named[f"stage{number}"] = x
        named["features"] = tf.nn.relu6(conv_norm(self.top, self.top_norm, x, training))
        named["pooled"] = gap(named["features"])
        return self.behind_frozen(named["pooled"], training), named

    def behind_frozen(self, pooled, training=False):
        """Logits from the "pooled" intermediate: what is left to train when the features are frozen."""
        return self.head(dropout(pooled, self.dropout) if training else pooled)

    def grid(self, size):
        """Where the map's cells lie in an input of `size` pixels, as `ops.upsample` takes it.

        TensorFlow pads an odd size on both sides alike, and an even one by one
        more behind than in front, so each stride moves the cells by what it met.
        """
        first, step = 0.5, 1
        for kernel, stride in self._shrinking:
            before, _ = same_padding(size, kernel, stride)
            first += step * ((kernel - 1) / 2 - before)
            step, size = step * stride, -(-size // stride)
        return first, step

    @staticmethod
    def trial_block():
        """(a function of x, its variables, the shape of x): a block in training, by which `nets.precision` decides."""
        block = InvertedBottleneck(40, 40, 5, stride=1, dilation=1, expansion=6, rng=initial_numbers(0))
        return lambda x: block(x, True), block.trainable_variables, (32, 16, 16, 40)

    @staticmethod
    def usual_size(variant=0, **_):
        """Side of the input, in pixels, that a variant was made for."""
        return LITE_VARIANTS[variant].size


def _norm(channels):
    return BatchNorm(channels, epsilon=LITE_EPSILON)
