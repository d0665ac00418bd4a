import numpy as np
import pytest
import tensorflow as tf

from ops import gap, gmp

DTYPES = (tf.float32, tf.bfloat16, tf.float16)
# Two channels of one picture, 2 x 2 positions.
PENCIL = np.array([[[[1, 0], [2, -1]], [[3, -1], [6, -2]]]], np.float32)


def test_the_mean_and_the_maximum_of_each_channel():
    np.testing.assert_array_equal(gap(PENCIL), [[3, -1]])
    np.testing.assert_array_equal(gmp(PENCIL), [[6, 0]])


@pytest.mark.parametrize("pool, reduce", [(gap, np.mean), (gmp, np.max)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_numpy_in_every_dtype(pool, reduce, dtype):
    features = tf.cast(np.random.default_rng(0).normal(size=(3, 5, 4, 6)), dtype)
    pooled = pool(features)
    assert pooled.dtype == tf.float32 and pooled.shape == (3, 6)
    expected = reduce(features.numpy().astype(np.float64), axis=(1, 2))
    np.testing.assert_allclose(pooled, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gap_accumulates_in_float32(dtype):
    # The sum, 409,600, is beyond float16; bfloat16 stops counting hundreds at 25,600.
    np.testing.assert_array_equal(gap(tf.fill([1, 64, 64, 1], tf.cast(100, dtype))), [[100]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gap_spreads_its_gradient_evenly(dtype):
    features = tf.cast(PENCIL, dtype)
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_sum(gap(features) * [4.0, 8.0])
    gradient = tape.gradient(loss, features)
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(gradient, np.broadcast_to([1, 2], PENCIL.shape))


def test_gmp_sends_its_gradient_to_the_maximum_and_shares_it_between_equals():
    features = tf.constant([[[[1.0, 5.0], [3.0, 5.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_sum(gmp(features))
    np.testing.assert_array_equal(tape.gradient(loss, features), [[[[0, 0.5], [1, 0.5]]]])


@pytest.mark.parametrize("pool", (gap, gmp))
def test_works_inside_a_function_of_unknown_batch_size(pool):
    outer = tf.function(lambda x: pool(x) + 1, input_signature=[tf.TensorSpec([None, 2, 2, 2])])
    for batch in (1, 3):
        features = np.repeat(PENCIL, batch, axis=0)
        np.testing.assert_array_equal(outer(features), pool(features).numpy() + 1)


@pytest.mark.parametrize("pool", (gap, gmp))
def test_refuses_what_is_no_batch_of_maps(pool):
    for shape in ((2, 3, 4), (2, 0, 3, 4), (2, 3, 0, 4)):
        with pytest.raises(ValueError, match=r"^features must be \[N, h, w, C\]"):
            pool(np.ones(shape, np.float32))
    assert pool(np.ones((0, 2, 3, 4), np.float32)).shape == (0, 4)
