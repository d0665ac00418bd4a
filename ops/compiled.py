"""Kernels compiled by XLA, one for each combination of shapes."""

import functools
import threading

from .quiet_tensorflow import tf


def compiled(kernel):
    """`kernel(*tensors, **settings)`, compiled by XLA once for each combination of shapes, dtypes and settings.

    As `tf.function(kernel, jit_compile=True)`: differentiable; called from any thread, and inside a caller's `tf.function`, where shapes
    need not be known. But each combination has a function of its own: of one that has several TensorFlow warns, and takes longer to
    find the right one. None is ever given up, since XLA would keep its code all the same.

    kernel    a function of tensors, by position, and settings, by name; these are hashable
    """
    @functools.cache
    def traced(types, settings):
        function = tf.function(lambda *tensors: kernel(*tensors, **dict(settings)), jit_compile=True, autograph=False)
        return function.get_concrete_function(*(tf.TensorSpec(shape, dtype) for shape, dtype in types))

    lock = threading.RLock()  # two threads with one new shape would each compile it

    @functools.wraps(kernel)
    def call(*tensors, **settings):
        with lock:
            run = traced(tuple((tensor.shape, tensor.dtype) for tensor in tensors), tuple(settings.items()))
        return run(*tensors)

    return call
