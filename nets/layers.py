"""The layers that the networks are made of.

Every layer computes in the dtype of what it is given (float32, bfloat16 or
float16) and keeps its variables in float32, so a network runs in mixed
precision when its caller casts the pictures, and in no other case.
"""

import numpy as np

from ops import gap, gmp
from ops.quiet_tensorflow import tf

from .convolution import add_bias, conv2d


def initial_numbers(seed):
    """Where initial weights are drawn from; with the seed None they are zeros, for a network that a file will fill."""
    return _Zeros() if seed is None else np.random.default_rng(seed)


class _Zeros:
    def normal(self, mean, deviation, shape):
        return np.zeros(shape, np.float32)


class Conv(tf.Module):
    """2-D convolution: y = x * kernel (+ bias), NHWC and HWIO.

    `padding` is "VALID", "CENTRED" or "SAME". "CENTRED" pads d(k - 1)/2 zeros on
    each side, as Caffe and PyTorch do. TensorFlow's own "SAME" (`same_padding`)
    differs from it for a stride of 2 on an even size, where it pads more on the
    right and bottom: weights of the one kind would see every picture shifted by
    a pixel in the other.

    With `groups` > 1 the kernel has in_channels / groups input channels, and
    each group of outputs sees its own group of inputs (Krizhevsky et al.,
    2012, section 3.5).
    """

    def __init__(self, in_channels, out_channels, size, *, rng, stride=1, dilation=1,
                 groups=1, padding="CENTRED", bias=False, name=None):
        super().__init__(name=name)
        shape = (size, size, in_channels // groups, out_channels)
        # He et al., 2015, equation 10: the variance that ReLU keeps.
        deviation = np.sqrt(2 / np.prod(shape[:3]))
        self.kernel = tf.Variable(rng.normal(0, deviation, shape), dtype=tf.float32, name="kernel")
        self.bias = tf.Variable(tf.zeros(out_channels), name="bias") if bias else None
        self.stride, self.dilation, self.groups = stride, dilation, groups
        # With a stride of 1, SAME is CENTRED and needs no copy. Otherwise the
        # picture is padded first: conv2d's own explicit padding has gradients
        # in bfloat16 that are 80 times slower on a CPU.
        border = dilation * (size - 1) // 2
        self.padding = "SAME" if padding == "SAME" or padding == "CENTRED" and stride == 1 else "VALID"
        self.border = border if padding == "CENTRED" and stride > 1 else 0

    def __call__(self, x):
        return self.convolve(x, self.kernel, self.bias)

    def convolve(self, x, kernel, bias=None):
        """The layer of `x` with another kernel and bias, float32, in place of its own."""
        kernel = tf.cast(kernel, x.dtype)
        if self.border:
            x = tf.pad(x, [[0, 0], [self.border] * 2, [self.border] * 2, [0, 0]])
        # The CPU has no gradient for a grouped convolution.
        pairs = zip(tf.split(x, self.groups, axis=3), tf.split(kernel, self.groups, axis=3)) if self.groups > 1 else [(x, kernel)]
        parts = [conv2d(*pair, self.stride, self.padding, self.dilation) for pair in pairs]
        y = parts[0] if self.groups == 1 else tf.concat(parts, axis=3)
        return y if bias is None else add_bias(y, bias)

    def scaled_kernel(self, factors):
        """The kernel whose outputs are multiplied by `factors`, float32 [out_channels]."""
        return self.kernel * factors


class DepthwiseConv(tf.Module):
    """2-D convolution of each channel by a kernel of its own, with TensorFlow's SAME padding; no bias.

    `kernel` is [size, size, channels, 1]. A dilation goes with a stride of 1 only.
    """

    def __init__(self, channels, size, *, rng, stride=1, dilation=1, name=None):
        super().__init__(name=name)
        # He et al., 2015, equation 10: the variance that ReLU keeps.
        kernel = rng.normal(0, np.sqrt(2) / size, (size, size, channels, 1))
        self.kernel = tf.Variable(kernel, dtype=tf.float32, name="kernel")
        self.stride, self.dilation = stride, dilation

    def __call__(self, x):
        return self.convolve(x, self.kernel)

    def convolve(self, x, kernel, bias=None):
        """The layer of `x` with another kernel and bias, float32, in place of its own."""
        y = tf.nn.depthwise_conv2d(x, tf.cast(kernel, x.dtype), [1, self.stride, self.stride, 1], "SAME",
                                   dilations=[self.dilation] * 2)
        return y if bias is None else tf.nn.bias_add(y, tf.cast(bias, x.dtype))

    def scaled_kernel(self, factors):
        """The kernel whose outputs are multiplied by `factors`, float32 [channels]."""
        return self.kernel * factors[:, tf.newaxis]


class BatchNorm(tf.Module):
    """Batch normalisation over N, H and W (Ioffe and Szegedy, 2015, algorithm 1).

    In training it uses the batch's statistics and moves `mean` and `variance`
    towards them (the variance with Bessel's correction, as the publication's
    algorithm 2 and PyTorch have it); in inference it uses the moving ones. Of a
    batch that several devices share (`replicas`), the statistics are the whole batch's.
    """

    def __init__(self, channels, *, epsilon=1e-5, momentum=0.9, initial_gamma=1.0, name=None):
        super().__init__(name=name)
        self.gamma = tf.Variable(tf.fill([channels], initial_gamma), name="gamma")
        self.beta = tf.Variable(tf.zeros(channels), name="beta")
        self.mean = tf.Variable(tf.zeros(channels), trainable=False, name="mean")
        self.variance = tf.Variable(tf.ones(channels), trainable=False, name="variance")
        self.epsilon, self.momentum = epsilon, momentum

    def __call__(self, x, training):
        if not training:
            y, _, _ = self._normalise(x, self.mean, self.variance, is_training=False)
            return y
        together = replicas()
        y, mean, variance = self._together(x, together) if together else self._normalise(x, None, None, is_training=True)
        self.mean.assign_sub((1 - self.momentum) * (self.mean - mean))
        self.variance.assign_sub((1 - self.momentum) * (self.variance - variance))
        return y

    def scale_and_shift(self):
        """(a, b), float32 [channels] each: in inference, y = a x + b."""
        scale = self.gamma * tf.math.rsqrt(self.variance + self.epsilon)
        return scale, self.beta - self.mean * scale

    def _normalise(self, x, mean, variance, is_training):
        return tf.compat.v1.nn.fused_batch_norm(
            x, self.gamma, self.beta, mean, variance, self.epsilon, is_training=is_training)

    def _together(self, x, context):
        """(y, mean, variance) over the pictures of all replicas, of which each may have another number, or none."""
        wide = tf.cast(x, tf.float32)
        # Sums of squares cancel where the mean is large: from the moving mean the values deviate little.
        deviation = wide - self.mean
        number = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), tf.float32)
        sums = tf.stack([tf.reduce_sum(deviation, [0, 1, 2]), tf.reduce_sum(deviation ** 2, [0, 1, 2]), tf.fill(self.mean.shape, number)])
        first, second, number = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, sums))
        shift = tf.math.divide_no_nan(first, number)
        variance = tf.maximum(tf.math.divide_no_nan(second, number) - shift ** 2, 0)
        y = tf.nn.batch_normalization(deviation, shift, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(y, x.dtype), self.mean + shift, variance * number / tf.maximum(number - 1, 1)


def conv_norm(conv, norm, x, training):
    """norm(conv(x)), where the convolution has no bias.

    In inference it is one convolution, its kernel scaled and a bias added: batch normalisation apart takes as long
    as the convolutions do (TensorFlow fuses it with some of them only).
    """
    if training:
        return norm(conv(x), training)
    scale, shift = norm.scale_and_shift()
    return conv.convolve(x, conv.scaled_kernel(scale), shift)


def replicas():
    """The tf.distribute.ReplicaContext of several devices that compute one step together; None on one device."""
    context = tf.distribute.get_replica_context()
    return context if context and context.num_replicas_in_sync > 1 else None


def pooling_of(name):
    """The function of a map [N, h, w, C] to float32 [N, C]: "average", GAP; "max", which the publication compares with it (GMP, section 2)."""
    if name not in POOLINGS:
        raise ValueError(f"pooling is {name!r}; known are {', '.join(POOLINGS)}")
    return POOLINGS[name]


POOLINGS = {"average": gap, "max": gmp}


class Linear(tf.Module):
    """y = x kernel + bias, always in float32: the logits decide between classes."""

    def __init__(self, in_channels, out_channels, *, rng, name=None):
        super().__init__(name=name)
        kernel = rng.normal(0, 0.01, (in_channels, out_channels))
        self.kernel = tf.Variable(kernel, dtype=tf.float32, name="kernel")
        self.bias = tf.Variable(tf.zeros(out_channels), name="bias")

    def __call__(self, x):
        return tf.linalg.matmul(tf.cast(x, tf.float32), self.kernel) + self.bias


def dropout(x, rate):
    """A share `rate` of the units is 0, the others divided by 1 - rate, float32. The mask is drawn from the bits of `x`.

    So a step is a function of the batch and the weights alone, and a resumed
    training draws the masks that it would have drawn.
    """
    x = tf.cast(x, tf.float32)
    seed = tf.reduce_sum(tf.bitcast(x, tf.int32))
    return tf.nn.experimental.stateless_dropout(x, rate, tf.stack([seed, 0]))


def local_response_norm(x):
    """x / (1 + 2e-5 * sum of squares over 5 neighbouring channels) ** 0.75.

    Krizhevsky et al., 2012, section 3.3, with Caffe's constants: its alpha of
    1e-4 is divided by the 5 channels. The CPU has this kernel in float32 only.
    """
    y = tf.nn.local_response_normalization(
        tf.cast(x, tf.float32), depth_radius=2, bias=1.0, alpha=2e-5, beta=0.75)
    return tf.cast(y, x.dtype)
