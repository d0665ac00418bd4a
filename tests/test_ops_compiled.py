"""Kernels that XLA compiles, each combination of shapes for itself: how often, from where they are called, and without a warning."""

import logging
import threading

import numpy as np
import pytest
import tensorflow as tf

import ops
from ops.compiled import compiled

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(5, 7)).astype(np.float32)
KERNELS = {
    "gap": ops.gap,
    "maps of all classes": lambda features: ops.class_activation_maps(features, KERNEL),
    "maps": lambda features: ops.class_activation_maps(features, KERNEL, tf.zeros([tf.shape(features)[0], 2], tf.int32)),
    "heat maps": lambda features: ops.heat_maps(features, KERNEL, tf.zeros([tf.shape(features)[0], 2], tf.int32), 12)}


def counted():
    """A kernel that multiplies two tensors and adds, and the list of its traces."""
    traces = []

    @compiled
    def kernel(one, other, more=0):
        traces.append(more)
        return one * other + more

    return kernel, traces


@pytest.fixture
def warnings():
    """What TensorFlow's Python says."""
    handler = logging.Handler(logging.WARNING)
    records = []
    handler.emit = records.append
    tf.get_logger().addHandler(handler)
    yield records
    tf.get_logger().removeHandler(handler)


def test_many_shapes_are_nothing_to_warn_of(warnings):
    for side in range(41, 46):  # that no other test has: a shape that is known already is no new one; at the fifth it warned
        features = RNG.random((1, side, 3, 5), np.float32)
        for call in KERNELS.values():
            call(features)
    assert not warnings


def test_each_combination_of_shapes_dtypes_and_settings_is_traced_once():
    kernel, traces = counted()
    for number in range(3):
        assert kernel(tf.fill([2], 3), tf.fill([2], number)).numpy().tolist() == [3 * number] * 2
    assert len(traces) == 1
    kernel(tf.ones([3]), tf.ones([3]))
    kernel(tf.ones([3]), tf.ones([1]))
    kernel(tf.ones([3], tf.float64), tf.ones([3], tf.float64))
    np.testing.assert_array_equal(kernel(tf.ones([3]), tf.ones([3]), more=2), [3, 3, 3])
    assert traces == [0, 0, 0, 0, 2]


@pytest.mark.parametrize("call", KERNELS.values(), ids=KERNELS)
def test_every_kernel_is_compiled_by_xla(call):
    graph = tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec([2, 3, 3, 5])).graph.as_graph_def()
    compiled_by_xla = [function.attr["_XlaMustCompile"].b for function in graph.library.function]
    assert compiled_by_xla == [True]


def test_threads_with_one_new_shape_compile_it_once():
    kernel, traces = counted()
    together, found = threading.Barrier(8), []

    def work():
        together.wait()
        found.append(kernel(tf.ones([4]), tf.fill([4], 2.0)).numpy().sum())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [8] * 8 and len(traces) == 1


@pytest.mark.parametrize("call", [KERNELS["gap"], KERNELS["maps of all classes"]])  # heat maps: a slow test of test_ops_cam.py
def test_works_where_nothing_but_the_map_is_known_and_outlives_the_graph_that_it_was_first_in(call):
    """Value and gradient are those outside of a graph, in which the kernel is called next."""
    @tf.function(input_signature=[tf.TensorSpec([None, 3, 2, 5])], autograph=False)
    def outer(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            value = call(features)
        return value, tape.gradient(value, features)

    features = [tf.constant(RNG.random((batch, 3, 2, 5), np.float32)) for batch in (2, 1)]
    within = [outer(one) for one in features]
    del outer
    for one, (value, gradient) in zip(features, within):
        with tf.GradientTape() as tape:
            tape.watch(one)
            outside = call(one)
        np.testing.assert_allclose(value, outside, atol=1e-5)
        np.testing.assert_allclose(gradient, tape.gradient(outside, one), atol=1e-4)


def test_gap_needs_no_known_rank_in_a_function():
    outer = tf.function(ops.gap, input_signature=[tf.TensorSpec(None)], autograph=False)
    for shape in ((2, 3, 4, 5), (1, 2, 2, 3)):
        features = RNG.random(shape, np.float32)
        np.testing.assert_allclose(outer(features), features.mean((1, 2)), rtol=1e-6)
