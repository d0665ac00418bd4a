"""The layers, against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from nets.convolution import same_padding
from nets.layers import BatchNorm, Conv, DepthwiseConv, Linear, local_response_norm


def rng():
    return np.random.default_rng(5)


def convolution(x, kernel, *, pad, stride=1, dilation=1, groups=1):
    """y[Y, X, o] = sum over i, j, c of kernel[i, j, c, o] x[stride Y + dilation i - pad, ...]; x [H, W, C]."""
    x = np.pad(x, [(pad, pad), (pad, pad), (0, 0)])
    size, _, group_in, out = kernel.shape
    spread = np.zeros((dilation * (size - 1) + 1,) * 2 + kernel.shape[2:])
    spread[::dilation, ::dilation] = kernel
    planes = []
    for o in range(out):
        first = o // (out // groups) * group_in
        planes.append(sum(scipy.signal.correlate2d(x[..., first + c], spread[..., c, o], "valid")
                          for c in range(group_in)))
    return np.stack(planes, -1)[::stride, ::stride]


@pytest.mark.parametrize("height, width", [(8, 8), (9, 7), (11, 14)])
@pytest.mark.parametrize("size, stride, dilation, groups", [
    (1, 1, 1, 1), (1, 2, 1, 1), (3, 1, 1, 1), (3, 2, 1, 1), (7, 2, 1, 1),
    (3, 1, 2, 1), (3, 1, 4, 1), (5, 1, 1, 2), (3, 2, 1, 2), (3, 1, 1, 4)])
def test_centred_padding_is_the_same_on_both_sides(height, width, size, stride, dilation, groups):
    layer = Conv(8, 12, size, stride=stride, dilation=dilation, groups=groups, bias=True, rng=rng())
    layer.bias.assign(rng().normal(size=12))
    x = rng().normal(size=(height, width, 8))
    expected = convolution(x, layer.kernel.numpy().astype(float), pad=dilation * (size - 1) // 2,
                           stride=stride, dilation=dilation, groups=groups) + layer.bias.numpy()
    y = layer(tf.constant(x[None], tf.float32))[0]
    assert y.shape == (-(-height // stride), -(-width // stride), 12)
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("side", [7, 8, 11, 14])
@pytest.mark.parametrize("size, stride", [(1, 2), (3, 1), (3, 2), (5, 1), (5, 2)])
def test_same_padding_is_tensorflows(size, stride, side):
    """An odd size is padded alike on both sides, an even one by one more behind where the stride is 2."""
    before, behind = same_padding(side, size, stride)
    assert (behind - before == 1) == (stride == 2 and side % 2 == 0 and size > 1)
    layer = Conv(3, 4, size, stride=stride, padding="SAME", rng=rng())
    x = rng().normal(size=(side, side, 3))
    padded = np.pad(x, [(before, behind), (before, behind), (0, 0)])
    wanted = convolution(padded, layer.kernel.numpy().astype(float), pad=0, stride=stride)
    y = layer(tf.constant(x[None], tf.float32))[0]
    assert y.shape == wanted.shape == (-(-side // stride), -(-side // stride), 4)
    np.testing.assert_allclose(y, wanted, atol=1e-5)


@pytest.mark.parametrize("side", [9, 12])
@pytest.mark.parametrize("size, stride, dilation", [(3, 1, 1), (3, 2, 1), (5, 2, 1), (3, 1, 2), (5, 1, 4)])
def test_a_depthwise_convolution_sees_each_channel_alone(size, stride, dilation, side):
    layer = DepthwiseConv(6, size, stride=stride, dilation=dilation, rng=rng())
    x = rng().normal(size=(side, side, 6))
    pads = same_padding(side, dilation * (size - 1) + 1, stride)
    kernel = layer.kernel.numpy().astype(float).transpose(0, 1, 3, 2)  # of 6 groups with one channel each
    wanted = convolution(np.pad(x, [pads, pads, (0, 0)]), kernel, pad=0, stride=stride, dilation=dilation, groups=6)
    y = layer(tf.constant(x[None], tf.float32))[0]
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, atol=1e-5)


def test_depthwise_kernels_begin_with_the_variance_that_relu_keeps():
    np.testing.assert_allclose(np.var(DepthwiseConv(4096, 3, rng=rng()).kernel), 2 / 9, rtol=0.03)


def test_valid_padding_is_none():
    layer = Conv(3, 4, 5, stride=4, padding="VALID", rng=rng())
    x = rng().normal(size=(17, 22, 3))
    np.testing.assert_allclose(layer(tf.constant(x[None], tf.float32))[0],
                               convolution(x, layer.kernel.numpy().astype(float), pad=0, stride=4), atol=1e-4)


def test_kernels_begin_with_the_variance_that_relu_keeps():
    layer = Conv(64, 256, 3, groups=2, rng=rng())
    assert layer.kernel.shape == (3, 3, 32, 256) and layer.bias is None
    np.testing.assert_allclose(np.var(layer.kernel), 2 / (3 * 3 * 32), rtol=0.02)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients_of_a_grouped_convolution_stay_in_their_group(dtype):
    layer = Conv(4, 6, 3, groups=2, rng=rng())
    x = tf.constant(rng().normal(size=(1, 5, 5, 4)), dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        first_group = tf.reduce_sum(layer(x)[..., :3])
    by_x, by_kernel = (tf.cast(gradient, tf.float32).numpy()
                       for gradient in tape.gradient(first_group, [x, layer.kernel]))
    assert np.any(by_x[..., :2]) and not np.any(by_x[..., 2:])
    assert np.any(by_kernel[..., :3]) and not np.any(by_kernel[..., 3:])


# ---------------------------------------------------------------- batch normalisation

@pytest.fixture(params=[False, True], ids=["op by op", "XLA"])
def norm(request):
    """A BatchNorm with no variable at its initial value, and what calls it."""
    layer = BatchNorm(3, epsilon=1e-3, momentum=0.8)
    for variable, value in ((layer.gamma, [1, 2, 0.5]), (layer.beta, [0, -1, 3]),
                            (layer.mean, [0.5, 0, -2]), (layer.variance, [1, 4, 1e-4])):
        variable.assign(value)
    call = tf.function(lambda x, training: layer(x, training), jit_compile=True) if request.param else layer
    return layer, call


BATCH = rng().normal([0, 3, -1], [1, 0.01, 5], (2, 3, 2, 3)).astype(np.float32)


def test_batch_norm_infers_with_the_moving_statistics(norm):
    layer, call = norm
    expected = (BATCH - [0.5, 0, -2]) / np.sqrt(np.array([1, 4, 1e-4]) + 1e-3) * [1, 2, 0.5] + [0, -1, 3]
    np.testing.assert_allclose(call(BATCH, False), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(layer.mean, np.float32([0.5, 0, -2]))


def test_batch_norm_trains_with_the_batchs_and_moves_by_bessels(norm):
    layer, call = norm
    mean, variance = BATCH.mean((0, 1, 2), np.float64), BATCH.var((0, 1, 2), np.float64)
    expected = (BATCH - mean) / np.sqrt(variance + 1e-3) * [1, 2, 0.5] + [0, -1, 3]
    np.testing.assert_allclose(call(BATCH, True), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(layer.mean, 0.8 * np.array([0.5, 0, -2]) + 0.2 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.variance, 0.8 * np.array([1, 4, 1e-4]) + 0.2 * variance * 12 / 11, rtol=1e-4)


def test_batch_norm_in_bfloat16_keeps_its_statistics_in_float32(norm):
    layer, call = norm
    y = call(tf.cast(BATCH, tf.bfloat16), True)
    assert y.dtype == tf.bfloat16 and layer.mean.dtype == layer.variance.dtype == tf.float32
    rounded = tf.cast(tf.cast(BATCH, tf.bfloat16), tf.float64).numpy()
    np.testing.assert_allclose(layer.mean, 0.8 * np.array([0.5, 0, -2]) + 0.2 * rounded.mean((0, 1, 2)), rtol=1e-4)


def test_batch_norm_adds_an_epsilon_as_small_as_torchvisions():
    layer = BatchNorm(1, epsilon=1e-5)
    layer.variance.assign([1e-7])
    np.testing.assert_allclose(layer(tf.ones([1, 1, 1, 1]), False), [[[[1 / np.sqrt(1.01e-5)]]]], rtol=1e-6)


# ---------------------------------------------------------------- the others

def test_linear_computes_in_float32_whatever_it_is_given():
    layer = Linear(6, 4, rng=rng())
    layer.bias.assign([1, 2, 3, 4])
    x = tf.constant(rng().normal(size=(2, 6)), tf.bfloat16)
    y = layer(x)
    assert y.dtype == tf.float32
    np.testing.assert_allclose(y, tf.cast(x, tf.float32).numpy() @ layer.kernel.numpy() + [1, 2, 3, 4], rtol=1e-5)


def test_local_response_norm_is_caffes():
    """caffe.proto, LRNParameter: x_i / (k + alpha/n sum of x_j^2 over n channels around i)^beta."""
    x = rng().normal(0, 300, (1, 2, 2, 9)).astype(np.float32)
    expected = np.empty_like(x)
    for i in range(9):
        around = x[..., max(0, i - 2):i + 3].astype(np.float64)
        expected[..., i] = x[..., i] / (1 + 1e-4 / 5 * (around**2).sum(-1)) ** 0.75
    assert np.abs(expected / x).min() < 0.5  # the norm does something here
    np.testing.assert_allclose(local_response_norm(tf.constant(x)), expected, rtol=1e-4)
    half = local_response_norm(tf.constant(x, tf.bfloat16))
    assert half.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(half, tf.float32), expected, rtol=0.02)
