"""`tf.train.Checkpoint`s of this project's training; the only reader that imports TensorFlow."""

import contextlib
import glob
import os
import shutil
import tempfile

from cam_base import InputError
from .store import from_arrays

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


@contextlib.contextmanager
def readable(prefix):
    """`with readable(prefix) as prefix:` TensorFlow reads what it wrote there. It takes brackets in a path for those of a pattern."""
    if "[" not in prefix and (os.sep == "\\" or "\\" not in prefix):
        yield prefix
        return
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "checkpoints")
        try:
            os.symlink(os.path.abspath(os.path.dirname(prefix)), link, target_is_directory=True)
        except OSError:  # Windows lets few users make links
            os.mkdir(link)
            for file in glob.glob(glob.escape(prefix) + ".*"):
                shutil.copy(file, link)
        yield os.path.join(link, os.path.basename(prefix))


def read(prefix):
    """Weights of the network in a checkpoint, given as the path in front of ".index".

    The checkpointed object holds the network as `net`, and as `meta` a string
    variable: `weights.describe(weights)`, without which tensors mean nothing.
    """
    from ops.quiet_tensorflow import tf

    with readable(prefix) as path:
        return _read(path, tf)


def _read(prefix, tf):
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = [name.removesuffix(VALUE) for name in reader.get_variable_to_shape_map()
                 if name.endswith(VALUE) and "/.OPTIMIZER_SLOT/" not in name]
        meta = [name for name in names if name.split("/")[-1] == "meta"]
        roots = {name[:name.index("net/")] for name in names if name.startswith("net/") or "/net/" in name}
        if len(meta) != 1 or len(roots) != 1:
            raise InputError("it does not hold a network `net` and its description `meta`: "
                             "it is not a checkpoint of this project's training")
        root = roots.pop()
        # A training that averages its weights hands out the averages.
        averaged = root + "averaged/"
        root = averaged if any(name.startswith(averaged) for name in names) else root + "net/"
        arrays = {name.removeprefix(root): reader.get_tensor(name + VALUE)
                  for name in names if name.startswith(root)}
        return from_arrays(arrays, reader.get_tensor(meta[0] + VALUE))
    except tf.errors.OpError as error:
        raise InputError(f"its checkpoint is damaged ({error.message.splitlines()[0][:160]})") from None
