"""Convolutions that train on every CPU, and cost the same in one piece with their normalisation: against SciPy."""

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf
from small_networks import FAST, pictures, small_network

from nets import convolution
from nets.layers import BatchNorm, Conv, DepthwiseConv, conv_norm


def of_scipy(x, kernel, *, stride, padding, dilation):
    """y[n, Y, X, o] = sum over i, j, c of kernel[i, j, c, o] x[n, stride Y + dilation i - before, ..., c], float64."""
    reach = dilation * (kernel.shape[0] - 1) + 1
    spread = np.zeros((reach, reach, *kernel.shape[2:]))
    spread[::dilation, ::dilation] = kernel
    if padding == "SAME":
        borders = [max((-(-size // stride) - 1) * stride + reach - size, 0) for size in x.shape[1:3]]
        x = np.pad(x, [(0, 0), *((border // 2, border - border // 2) for border in borders), (0, 0)])
    planes = [[sum(scipy.signal.correlate2d(one[..., c], spread[..., c, o], "valid") for c in range(x.shape[3]))
               for o in range(kernel.shape[3])] for one in x]
    return np.moveaxis(np.array(planes), 1, -1)[:, ::stride, ::stride]


@pytest.mark.parametrize("native", [False, True], ids=["without a dilated gradient", "as TensorFlow has it"])
@pytest.mark.parametrize("size, stride, padding, dilation", [
    (3, 1, "SAME", 2), (3, 1, "SAME", 4), (3, 1, "VALID", 3), (5, 1, "SAME", 2), (2, 1, "SAME", 2), (3, 2, "SAME", 2), (3, 2, "VALID", 2)])
def test_a_dilated_convolution_and_its_gradients(monkeypatch, native, size, stride, padding, dilation):
    """A convolution is linear in its input and in its kernel: along any direction the gradient says just what it changes."""
    if native and not convolution.has_dilated_gradient(tf.float32):
        pytest.skip("TensorFlow has no dilated gradient on this CPU (no oneDNN)")
    monkeypatch.setattr(convolution, "has_dilated_gradient", lambda dtype: native)
    rng = np.random.default_rng(size + stride + dilation)
    x, kernel = rng.normal(size=(2, 11, 13, 3)), rng.normal(size=(size, size, 3, 4))
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    wanted = of_scipy(x, kernel, **options)
    weight = rng.normal(size=wanted.shape)
    x32, kernel32 = tf.constant(x, tf.float32), tf.constant(kernel, tf.float32)

    @tf.function(autograph=False)
    def computed():
        with tf.GradientTape() as tape:
            tape.watch([x32, kernel32])
            y = convolution.conv2d(x32, kernel32, stride, padding, dilation)
            loss = tf.reduce_sum(y * tf.constant(weight, tf.float32))
        return y, tape.gradient(loss, [x32, kernel32])

    y, (dx, dkernel) = computed()
    np.testing.assert_allclose(y, wanted, atol=1e-4)
    for _ in range(3):
        along_x, along_kernel = rng.normal(size=x.shape), rng.normal(size=kernel.shape)
        assert np.sum(dx * along_x) == pytest.approx(np.sum(weight * of_scipy(along_x, kernel, **options)), rel=1e-4, abs=1e-2)
        assert np.sum(dkernel * along_kernel) == pytest.approx(np.sum(weight * of_scipy(x, along_kernel, **options)), rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_has_dilated_gradients_too(monkeypatch, dtype):
    rng = np.random.default_rng(3)
    x, kernel = tf.constant(rng.normal(size=(2, 9, 9, 4)), tf.float32), tf.constant(rng.normal(size=(3, 3, 4, 4)), tf.float32)

    def gradients(dtype):
        halves = [tf.cast(values, dtype) for values in (x, kernel)]
        with tf.GradientTape() as tape:
            tape.watch(halves)
            loss = tf.reduce_sum(tf.cast(convolution.conv2d(*halves, 1, "SAME", 2), tf.float32) ** 2)
        return tape.gradient(loss, halves)

    monkeypatch.setattr(convolution, "has_dilated_gradient", lambda dtype: False)
    for half, full in zip(gradients(dtype), gradients("float32")):
        assert half.dtype == dtype
        assert np.abs(tf.cast(half, tf.float32) - full).max() < 0.03 * np.abs(full).max()


def test_whether_there_is_a_dilated_gradient_is_found_by_trying():
    x, kernel = tf.ones([1, 9, 9, 2]), tf.ones([3, 3, 2, 2])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.conv2d(x, kernel, 1, "SAME", dilations=2)
    try:
        tape.gradient(y, x)
        there = True
    except tf.errors.InvalidArgumentError:
        there = False
    assert convolution.has_dilated_gradient(tf.float32) == there
    # Within a function that is being traced, and under a tape, it is tried all the same.
    convolution.has_dilated_gradient.cache_clear()
    with tf.GradientTape():
        assert tf.function(lambda: tf.constant(convolution.has_dilated_gradient(tf.float32)))().numpy() == there


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("bfloat16", 0.03)])
@pytest.mark.parametrize("conv", [
    lambda rng: Conv(6, 8, 3, rng=rng), lambda rng: Conv(6, 8, 1, stride=2, rng=rng), lambda rng: Conv(6, 8, 3, groups=2, dilation=2, rng=rng),
    lambda rng: DepthwiseConv(6, 3, stride=2, rng=rng)], ids=["3x3", "1x1/2", "groups, dilated", "depthwise"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_convolution_and_its_normalisation_are_one_in_inference(conv, count, dtype, tolerance):
    rng = np.random.default_rng(4)
    conv = conv(rng)
    norm = BatchNorm(6 if isinstance(conv, DepthwiseConv) else 8)
    norm.gamma.assign(rng.uniform(0.5, 2, norm.gamma.shape))
    for variable in (norm.beta, norm.mean):
        variable.assign(rng.normal(size=variable.shape))
    norm.variance.assign(rng.uniform(0.2, 3, norm.variance.shape))
    x = tf.cast(rng.normal(size=(count, 9, 8, 6)), dtype)
    y = conv_norm(conv, norm, x, training=False)
    wide = conv(tf.cast(x, tf.float32))
    wanted = (wide - norm.mean) / tf.sqrt(norm.variance + norm.epsilon) * norm.gamma + norm.beta
    assert y.dtype == dtype
    assert np.abs(tf.cast(y, tf.float32) - wanted).max() < tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("name", FAST)
def test_a_picture_alone_is_seen_as_in_a_batch(name):
    net, batch = small_network(name), pictures(name, 3)
    logits, named = net(batch)
    for what, values in tf.function(lambda x: net(x)[1] | {"logits": net(x)[0]})(batch[:1]).items():
        wanted = (named | {"logits": logits})[what][:1]
        np.testing.assert_allclose(values, wanted, atol=2e-4 * np.abs(wanted).max(), err_msg=what)
