import numpy as np
import pytest
import tensorflow as tf

from ops import cam, class_activation_maps, gap, heat_maps, normalise, upsample

DTYPES = (tf.float32, tf.bfloat16, tf.float16)
CLASSES = [[0, 3], [6, 6], [2, 5]]


def random_layer(n=3, h=5, w=4, channels=16, classes=7, dtype=tf.float32):
    """Features as after a ReLU, kernel and bias."""
    rng = np.random.default_rng(0)
    features = tf.cast(np.maximum(rng.normal(size=(n, h, w, channels)), 0), dtype)
    kernel = rng.normal(size=(channels, classes)).astype(np.float32)
    return features, kernel, rng.normal(size=classes).astype(np.float32)


def test_equation_2_by_hand():
    # One picture of 1 x 2 positions and 2 channels, 3 classes.
    features = np.array([[[[1, 2], [3, 4]]]], np.float32)
    kernel = np.array([[1, 0, -1], [0, 10, 1]], np.float32)
    np.testing.assert_array_equal(class_activation_maps(features, kernel),
                                  [[[[1, 3]], [[20, 40]], [[1, 1]]]])
    np.testing.assert_array_equal(class_activation_maps(features, kernel, [[2, 0]]),
                                  [[[[1, 1]], [[1, 3]]]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_mean_of_a_map_plus_the_bias_is_the_logit(dtype):
    features, kernel, bias = random_layer(dtype=dtype)
    logits = gap(features) @ kernel + bias
    maps = class_activation_maps(features, kernel)
    assert maps.dtype == tf.float32 and maps.shape == (3, 7, 5, 4)
    np.testing.assert_allclose(tf.reduce_mean(maps, axis=(2, 3)) + bias, logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", (np.int32, np.int64, np.uint8))
def test_each_picture_gets_the_maps_of_its_own_classes(kind):
    features, kernel, _ = random_layer()
    chosen = class_activation_maps(features, tf.Variable(kernel), np.array(CLASSES, kind))
    every = class_activation_maps(features, kernel).numpy()
    np.testing.assert_allclose(chosen, every[[[0], [1], [2]], CLASSES], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("h, w, size, dtype, classes", [
    (7, 7, (224, 224), tf.float32, CLASSES), (7, 7, (224, 224), tf.float32, None),
    (5, 4, (60, 33), tf.bfloat16, CLASSES), (5, 4, (60, 33), tf.float16, None),
    (3, 8, (3, 8), tf.float32, CLASSES), (6, 5, (4, 3), tf.float32, CLASSES),
    (1, 4, (2, 9), tf.float32, CLASSES), (2, 2, (1, 5), tf.float32, CLASSES)])
def test_the_fused_kernel_equals_the_slow_way(h, w, size, dtype, classes):
    features, kernel, _ = random_layer(h=h, w=w, dtype=dtype)
    heat = heat_maps(features, kernel, classes, size)
    maps = class_activation_maps(features, kernel, classes).numpy()
    assert heat.dtype == tf.float32 and tf.reduce_min(heat) >= 0 and tf.reduce_max(heat) <= 1
    np.testing.assert_allclose(heat, normalise(upsample(maps, size)), atol=2e-6)


@pytest.mark.parametrize("value", (0, 0.3, 1e3))
def test_a_constant_class_map_gives_zeros(value):
    _, kernel, _ = random_layer()
    features = np.full((2, 7, 6, 16), value, np.float32)
    np.testing.assert_array_equal(heat_maps(features, kernel, [[0, 1], [2, 3]], (50, 70)), 0)


def test_a_single_position_gives_zeros():
    features, kernel, _ = random_layer(h=1, w=1)
    np.testing.assert_array_equal(heat_maps(features, kernel, CLASSES, (9, 9)), 0)


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_features_that_are_not_finite_give_nan_in_their_own_picture_only(bad):
    features, kernel, _ = random_layer()
    features = features.numpy()
    features[1, 2, 2, 3] = bad
    heat = heat_maps(features, kernel, CLASSES, (12, 10)).numpy()
    assert np.isnan(heat[1]).all() and np.isfinite(heat[[0, 2]]).all()


@pytest.mark.parametrize("function", (
    lambda features, kernel: class_activation_maps(features, kernel, CLASSES),
    class_activation_maps,
    lambda features, kernel: heat_maps(features, kernel, CLASSES, (5, 6))))
def test_gradients_agree_with_finite_differences(function):
    features, kernel, _ = random_layer(h=3, w=3, channels=4)
    by_tape, by_steps = tf.test.compute_gradient(function, [features, kernel], delta=3e-3)
    for tape, steps in zip(by_tape, by_steps):
        np.testing.assert_allclose(tape, steps, atol=2e-2 * np.abs(steps).max())


def test_the_gradient_of_a_constant_map_is_zero():
    _, kernel, _ = random_layer()
    features = tf.ones([1, 4, 4, 16])
    with tf.GradientTape() as tape:
        tape.watch(features)
        heat = heat_maps(features, kernel, [[1]], (9, 9))
    np.testing.assert_array_equal(tape.gradient(heat, features), tf.zeros_like(features))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_works_inside_a_function_of_unknown_batch_size(dtype):
    features, kernel, _ = random_layer(dtype=dtype)
    kernel = tf.Variable(kernel)

    @tf.function(input_signature=[tf.TensorSpec([None, 5, 4, 16], dtype), tf.TensorSpec([None, 2], tf.int32)])
    def outer(features, classes):
        with tf.GradientTape() as tape:
            tape.watch(features)
            heat = heat_maps(features, kernel, classes, (20, 24))
        return heat, tape.gradient(heat, [features, kernel])

    for batch in (3, 1):
        heat, (by_features, by_kernel) = outer(features[:batch], CLASSES[:batch])
        expected = heat_maps(features[:batch], kernel, CLASSES[:batch], (20, 24))
        np.testing.assert_allclose(heat, expected, atol=1e-6)
        assert by_features.dtype == dtype and by_features.shape == (batch, 5, 4, 16)
        assert tf.convert_to_tensor(by_kernel).shape == kernel.shape


def test_is_compiled_once_per_shape(monkeypatch):
    traced, class_maps = [], cam._class_maps
    monkeypatch.setattr(cam, "_class_maps", lambda *tensors: traced.append(1) or class_maps(*tensors))
    features, kernel, _ = random_layer(channels=11)
    for call, kind in enumerate((np.int32, np.int64, np.int32)):
        classes = (np.array(CLASSES) + call).astype(kind) % 7
        heat_maps(features + call, kernel * call, classes, [np.int64(15), 15])
    assert len(traced) == 1
    heat_maps(features[:2], kernel, CLASSES[:2], (15, 15))
    heat_maps(features, kernel, CLASSES, (15, 16))
    assert len(traced) == 3


@pytest.mark.parametrize("change, message", [
    ({"features": np.ones((3, 5, 16), np.float32)}, r"\[N, h, w, C\]"),
    ({"kernel": np.ones(16, np.float32)}, r"\[C, K\]"),
    ({"kernel": np.ones((15, 7), np.float32)}, "16 channels"),
    ({"classes": [0, 1, 2]}, r"\[3, k\]"),
    ({"classes": [[0, 1]]}, r"\[3, k\]"),
    ({"classes": [[0.5], [1.0], [2.0]]}, "integers"),
    ({"classes": [[0], [1], [7]]}, "0 to 6"),
    ({"classes": [[0], [1], [-1]]}, "0 to 6")])
def test_refuses_what_does_not_fit(change, message):
    features, kernel, _ = random_layer()
    arguments = {"features": features, "kernel": kernel, "classes": CLASSES} | change
    with pytest.raises(ValueError, match=message):
        class_activation_maps(**arguments)
    with pytest.raises(ValueError, match=message):
        heat_maps(**arguments, size=(8, 8))


@pytest.mark.parametrize("size", [(0, 8), (8, -8), (8.0, 8), 0, 8.0, None])
def test_refuses_a_size_that_is_none(size):
    features, kernel, _ = random_layer()
    with pytest.raises(ValueError, match="^size must be"):
        heat_maps(features, kernel, CLASSES, size)


def test_class_maps_of_any_magnitude_are_scaled_alike():
    features, kernel, _ = random_layer()
    expected = heat_maps(features, kernel, CLASSES, 12)
    for factor in (1e-32, 1e36):
        np.testing.assert_allclose(heat_maps(features, kernel * np.float32(factor), CLASSES, 12), expected, atol=2e-6)
