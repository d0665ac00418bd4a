"""What TensorFlow says when a machine has no more to give."""

import contextlib

from cam_base import InputError
from ops.quiet_tensorflow import tf


@contextlib.contextmanager
def refusals_in_one_line():
    """A memory or a disk that is full, for which TensorFlow has errors of its own, as InputError."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.UnknownError) as error:
        raise InputError(first_line(error)) from None


def first_line(error):
    """What an error says, without the name of TensorFlow's operation."""
    text = getattr(error, "message", None) or str(error)
    return (text.strip() or type(error).__name__).splitlines()[0].split("}} ")[-1].split(" [Op:")[0][:200]
