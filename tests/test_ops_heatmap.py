import numpy as np
import pytest
import tensorflow as tf

from ops import normalise, upsample
from ops.heatmap import interpolation_matrix, interval_ends

# Map size and new size: larger, odd, equal, smaller, one row, one pixel.
SIZES = [((7, 7), (224, 224)), ((3, 5), (17, 11)), ((4, 6), (4, 6)), ((9, 8), (4, 3)),
         ((1, 4), (6, 10)), ((4, 1), (7, 2)), ((1, 1), (5, 5)), ((2, 2), (1, 1))]


def random_maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("old, new", SIZES)
def test_upsample_equals_tf_image_resize(old, new):
    maps = random_maps(2, 3, *old)
    expected = tf.image.resize(np.moveaxis(maps, 1, 3), new, "bilinear", antialias=False)
    expected = np.moveaxis(expected.numpy(), 3, 1)
    # TensorFlow finds the positions in float32: off by 1e-5 of a pixel at 224.
    np.testing.assert_allclose(upsample(maps, new), expected, atol=3e-5)
    np.testing.assert_allclose(upsample(tf.constant(maps), new), expected, atol=3e-5)


def test_upsample_by_hand():
    # The new centres lie at -1/4, 1/4, 3/4 and 5/4; the ends are held.
    np.testing.assert_array_equal(upsample([[0, 4]], (1, 4)), [[0, 1, 3, 4]])
    np.testing.assert_array_equal(upsample([[0], [4]], (4, 1)), [[0], [1], [3], [4]])


def test_samples_lie_where_the_grid_says():
    # Old samples in the middles of pixels 0 and 2; behind the last one its value is held.
    np.testing.assert_array_equal(upsample([[0, 4]], (1, 4), (0.5, 2)), [[0, 2, 4, 4]])
    np.testing.assert_array_equal(upsample(tf.constant([[0.0], [4.0]]), (4, 1), (1.5, 2)), [[0], [0], [2], [4]])
    maps = random_maps(2, 5, 5)
    np.testing.assert_array_equal(upsample(maps, (35, 35), (3.5, 7)), upsample(maps, (35, 35)))


def test_a_tensor_gives_a_tensor_and_an_array_an_array():
    for function in (normalise, lambda maps: upsample(maps, (4, 4))):
        for maps in (random_maps(3, 2, 2), random_maps(2, 2).astype(np.float64)):
            answer = function(maps)
            assert isinstance(answer, np.ndarray) and answer.dtype == np.float32
        for dtype in (tf.float32, tf.bfloat16, tf.float16):
            answer = function(tf.cast(random_maps(2, 2), dtype))
            assert tf.is_tensor(answer) and answer.dtype == tf.float32


@pytest.mark.parametrize("old, new", [(7, 224), (3, 11), (5, 5), (9, 4), (1, 6), (6, 1)])
def test_the_ends_of_the_intervals_hold_the_extremes(old, new):
    ends = interval_ends(old, new)
    assert len(ends) <= 2 * old and np.all(np.diff(ends) > 0)
    lines = interpolation_matrix(old, new) @ random_maps(old, 200)
    np.testing.assert_array_equal(lines[ends].min(0), lines.min(0))
    np.testing.assert_array_equal(lines[ends].max(0), lines.max(0))


@pytest.mark.parametrize("to", (np.asarray, tf.constant))
def test_normalise_by_hand(to):
    maps = to(np.array([[[-2, 0], [2, 6]], [[7, 7], [7, 7]]], np.float32))
    np.testing.assert_array_equal(normalise(maps), [[[0, 0.25], [0.5, 1]], [[0, 0], [0, 0]]])


@pytest.mark.parametrize("to", (np.asarray, tf.constant))
@pytest.mark.parametrize("value", (0, 0.3, -1234.567, 1e-30))
def test_an_upsampled_constant_map_is_still_constant(to, value):
    maps = upsample(to(np.full((6, 5), value, np.float32)), (97, 51))
    np.testing.assert_array_equal(normalise(maps), np.zeros((97, 51)))


def test_small_differences_are_not_taken_for_rounding():
    for maps in ([[1, 1.00001]], [[0, 1e-30]]):
        np.testing.assert_array_equal(normalise(maps), [[0, 1]])


def test_gradients_agree_with_finite_differences():
    maps = tf.constant(random_maps(2, 3, 3))
    for function in (normalise, lambda x: upsample(x, (5, 4))):
        by_tape, by_steps = tf.test.compute_gradient(function, [maps], delta=1e-2)
        np.testing.assert_allclose(by_tape[0], by_steps[0], atol=3e-2 * np.abs(by_steps[0]).max())


def test_the_gradient_of_a_constant_map_is_zero():
    maps = tf.ones([1, 3, 3])
    with tf.GradientTape() as tape:
        tape.watch(maps)
        heat = normalise(maps)
    np.testing.assert_array_equal(tape.gradient(heat, maps), tf.zeros([1, 3, 3]))


@pytest.mark.parametrize("bad", (np.nan, np.inf, -np.inf))
def test_maps_that_are_not_finite(bad):
    maps = random_maps(2, 3, 3)
    maps[0, 1, 1] = bad
    for function in (normalise, lambda x: upsample(x, (4, 4))):
        with pytest.raises(ValueError, match="not finite"):
            function(maps)
    for compiled in (False, True):
        heat = tf.function(normalise, jit_compile=compiled)(tf.constant(maps)).numpy()
        assert np.isnan(heat[0]).all()
        np.testing.assert_array_equal(heat[1], normalise(maps[1]))


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (2.5, 4), 0, 2.5, "44", None, (4,), 10**9])
def test_refuses_a_size_that_is_none(size):
    for maps in (random_maps(2, 2), tf.ones([2, 2])):
        with pytest.raises(ValueError, match="^size must be"):
            upsample(maps, size)


@pytest.mark.parametrize("to, factors", [
    (np.array, (1e-300, 1e-40, 1e-35, 1, 3e38, 1e308)), (np.float32, (2.0**-140, 1e-35, 1, 3e38)),
    (lambda maps: tf.constant(maps, tf.float32), (1e-35, 1, 3e38)), (tf.constant, (1e-300, 1e-35, 1, 3e38, 1e308))])
def test_maps_of_any_magnitude_are_scaled_alike(to, factors):
    maps = np.array([[[-1, 1], [0, 0.5]], [[0.25, 0.5], [1, 0.75]]])
    for factor in factors:
        np.testing.assert_allclose(normalise(to(maps * factor)), normalise(maps), atol=1e-6)


def test_a_tensor_of_any_magnitude_has_a_gradient():
    for factor in (1e-35, 1.0, 1e35):
        maps = tf.constant([[0.0, factor, 4 * factor]])
        with tf.GradientTape() as tape:
            tape.watch(maps)
            middle = normalise(maps)[0, 1]
        np.testing.assert_allclose(tape.gradient(middle, maps) * factor, [[-3 / 16, 1 / 4, -1 / 16]], rtol=1e-5)


@pytest.mark.parametrize("grid", [(0.5, 0), (0.5, -1), (np.nan, 8), (0, np.inf)])
def test_refuses_a_grid_that_is_none(grid):
    for maps in (random_maps(2, 2), tf.ones([2, 2])):
        with pytest.raises(ValueError, match="a grid is"):
            upsample(maps, (4, 4), grid)


def test_refuses_what_is_no_map():
    for maps in (np.ones(3, np.float32), tf.ones([3])):
        for function in (normalise, lambda x: upsample(x, (4, 4))):
            with pytest.raises(ValueError, match=r"\[\.\.\., h, w\]"):
                function(maps)
    with pytest.raises(ValueError, match="known"):
        tf.function(lambda x: upsample(x, (4, 4)),
                    input_signature=[tf.TensorSpec([None, None])])(tf.ones([2, 2]))


# ---------------------------------------------------------------- the scale by the maximum alone

def test_the_scale_by_the_maximum_cuts_negative_values_off():
    maps = np.array([[[-4.0, 0.0], [1.0, 2.0]], [[-1, -2], [-3, -4]], [[3, 3], [3, 3]]])
    expected = [[[0, 0], [0.5, 1]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]]
    np.testing.assert_array_equal(normalise(maps, "max"), expected)
    np.testing.assert_array_equal(normalise(tf.constant(maps), "max"), expected)
    np.testing.assert_array_equal(normalise(1e300 * maps, "max"), expected)
    assert np.isnan(normalise(tf.constant([[1.0, np.nan]]), "max")).all()
    with pytest.raises(ValueError, match="scale must be one of min-max, max"):
        normalise(maps, "maximum")
