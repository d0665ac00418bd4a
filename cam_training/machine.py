"""What TensorFlow says when a machine has no more to give."""

import contextlib

from cam_base import InputError, first_line
from ops.quiet_tensorflow import tf


@contextlib.contextmanager
def refusals_in_one_line():
    """A memory or a disk that is full, for which TensorFlow has errors of its own, as InputError."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.UnknownError) as error:
        raise InputError(first_line(error)) from None
