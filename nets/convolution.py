"""Convolutions that TensorFlow's CPU kernels lack, or do slowly: dilated ones with gradients, and of one picture."""

import functools
import time

from ops.quiet_tensorflow import tf


def conv2d(x, kernel, stride, padding, dilation):
    """`tf.nn.conv2d` of NHWC and HWIO, with gradients on every device.

    x         [N, H, W, C], in any floating dtype; kernel [k, k, C, O], of the same
    padding   "SAME" or "VALID", as TensorFlow has them
    returns   [N, H', W', O]
    """
    if dilation > 1 and not has_dilated_gradient(x.dtype):
        return _dilated(x, kernel, stride, padding, dilation)
    return tf.nn.conv2d(x, kernel, stride, padding, dilations=dilation)


@functools.cache
def has_dilated_gradient(dtype):
    """Whether TensorFlow's own dilated convolution has gradients here. On CPUs it is oneDNN that brings them, for
    the dtypes that it knows on this CPU; no flag says so for certain, so one small convolution is tried."""
    with tf.init_scope():
        if not tf.executing_eagerly():  # in a graph of TensorFlow 1 nothing can be tried
            return False
        x, kernel = tf.ones([2, 8, 8, 4], dtype), tf.ones([3, 3, 4, 4], dtype)
        common = {"out_backprop": x, "strides": [1] * 4, "padding": "SAME", "dilations": [1, 2, 2, 1]}
        try:
            tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, **common)
            tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, **common)
        except tf.errors.OpError:
            return False
    return True


def _dilated(x, kernel, stride, padding, dilation):
    reach = dilation * (kernel.shape[0] - 1) + 1  # pixels a side that the kernel spans
    if padding == "SAME":
        sizes = x.shape[1:3] if stride > 1 else (1, 1)  # of a stride of 1, each size has the same borders
        x = tf.pad(x, [(0, 0), *(same_padding(size, reach, stride) for size in sizes), (0, 0)])
    y = _dilated_valid(dilation)(x, kernel)
    return y[:, ::stride, ::stride] if stride > 1 else y


@functools.cache
def _dilated_valid(dilation):
    """A dilated convolution of stride 1 without padding, whose gradients are made of what every CPU has.

    With respect to the input it is such a convolution again, with the kernel turned by 180 degrees (Dumoulin and
    Visin, 2016, section 4); with respect to each tap of the kernel, a product of the pixels that the tap met with the
    output's gradient. By rearranging space to batch, which is exact too, a step takes up to 18 times as long.
    """
    @tf.custom_gradient
    def convolve(x, kernel):
        side = kernel.shape[0]

        def gradients(dy):
            border = dilation * (side - 1)
            turned = tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])
            dx = convolve(tf.pad(dy, [(0, 0), (border, border), (border, border), (0, 0)]), turned)
            # In float32: where half precision is not native, its products are slow and sum up coarsely.
            wide, wide_dy = (tf.cast(values, tf.float32) for values in (x, dy))
            height, width = tf.unstack(tf.shape(dy)[1:3])
            taps = [tf.tensordot(wide[:, row:row + height, column:column + width], wide_dy, [[0, 1, 2]] * 2)
                    for row in range(0, border + 1, dilation) for column in range(0, border + 1, dilation)]
            return dx, tf.cast(tf.reshape(tf.stack(taps), tf.shape(kernel)), kernel.dtype)

        return tf.nn.conv2d(x, kernel, 1, "VALID", dilations=dilation), gradients

    return convolve


def add_bias(y, bias):
    """y + bias, of an output of `conv2d`: in one with the convolution, as TensorFlow fuses it, unless that is slow."""
    bias = tf.cast(bias, y.dtype)
    # Nothing is fused where each operation is computed at once, as in a network that is only tried: it need not wait for the trial.
    slow = y.shape[0] == 1 and not tf.executing_eagerly() and fuses_slowly(y.dtype)
    return y - -bias if slow else tf.nn.bias_add(y, bias)


@functools.cache
def fuses_slowly(dtype):
    """Whether, of one picture, a convolution fused with bias and ReLU6 takes longer than of two pictures.

    With oneDNN it does on CPUs without AVX-512: of one picture TensorFlow hands it the kernel in an order that its fast ways do
    not take, and what follows is then computed value by value. It is tried, since no flag says so. A subtraction is never fused.
    """
    with tf.init_scope():
        if not tf.executing_eagerly() or not has_dilated_gradient(dtype) or tf.config.list_physical_devices("GPU"):
            return False
        kernel, bias = tf.ones([1, 1, 16, 96], dtype), tf.ones([96], dtype)

        def fused(x):
            return tf.nn.relu6(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias))

        def seconds(pictures):
            x = tf.ones([pictures, 112, 112, 16], dtype)
            run, times = tf.function(fused, autograph=False).get_concrete_function(tf.TensorSpec(x.shape, dtype)), []
            for _ in range(8):
                start = time.perf_counter()
                run(x).numpy()
                times.append(time.perf_counter() - start)
            return min(times)

        return seconds(1) > seconds(2)


def same_padding(size, kernel, stride):
    """(before, behind): the zeros that TensorFlow's SAME puts around `size` pixels, for ceil(size / stride) windows."""
    zeros = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return zeros // 2, zeros - zeros // 2
