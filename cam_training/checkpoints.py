"""A run's checkpoints: ckpt-1, ckpt-2, ... found by themselves, the newest that can be read first."""

import glob
import os
import re

from cam_base import InputError, first_line
from cam_base.terminal import warn
from ops.quiet_tensorflow import tf
from weights.checkpoint import readable

KEPT = 2
FILE = re.compile(r"(ckpt-([1-9][0-9]{0,8}))\.(?:index|data-[0-9]{5}-of-[0-9]{5})")


class Checkpoints:
    """The checkpoints of `trainer` (a tf.Module) in `folder`.

    Which there are is seen from their own files; no other file says it. What
    this process has neither read nor written is removed only when it is older
    than KEPT checkpoints that it has; one that cannot be read never is.
    """

    def __init__(self, folder, trainer):
        self.folder = folder
        self.checkpoint = tf.train.Checkpoint(trainer=trainer)
        names = os.listdir(folder) if os.path.isdir(folder) else []
        self.numbers = {int(found[2]) for found in map(FILE.fullmatch, names) if found}
        self.good, self.damaged = [], set()

    @property
    def last(self):
        """The path of the last good one, as `weights.load` takes it, or None."""
        return self._prefix(self.good[-1]) if self.good else None

    def restore(self):
        """Restore the newest one that can be read, and say which ones cannot; False where there is none at all.

        Raises InputError when not one can be read.
        """
        for number in sorted(self.numbers, reverse=True):
            reason = self._restore(self._prefix(number))
            if reason is None:
                self.good.append(number)
                if self.damaged:
                    warn(f"going on from {self.last}, the newest checkpoint that can be read")
                return True
            self.damaged.add(number)
            warn(f"{self._prefix(number)} is damaged: {reason}")
        if self.damaged:
            raise InputError(f"{self.folder} has no checkpoint that can be read: the run cannot be gone on with; "
                             "a new one can start from its weights.npz by --init")
        return False

    def _restore(self, prefix):
        """None, or why it cannot be restored."""
        if not os.path.isfile(prefix + ".index"):
            return "its .index is missing"
        if not all(map(os.path.isfile, glob.glob(glob.escape(prefix) + ".data-*"))):
            return "what it holds is no file"  # a pipe would be waited for
        try:
            with readable(prefix) as path:
                self.checkpoint.read(path).assert_consumed()
        except (ValueError, AssertionError, LookupError, tf.errors.OpError) as error:
            return first_line(error)
        return None

    def save(self):
        """Write a new one, then remove what is older than the last two."""
        number = max(self.numbers, default=0) + 1
        prefix = self._prefix(number)
        try:
            self.checkpoint.write(prefix)
        except tf.errors.OpError as error:
            self._remove(number)
            raise InputError(f"{prefix} cannot be written: {first_line(error)}") from None
        self.numbers.add(number)
        self.good.append(number)
        if len(self.good) >= KEPT:
            for old in [n for n in self.numbers - self.damaged if n < self.good[-KEPT]]:
                self._remove(old)
                self.numbers.remove(old)

    def _remove(self, number):
        # The index first: without it the rest is no checkpoint.
        for name in sorted(os.listdir(self.folder), reverse=True):
            found = FILE.fullmatch(name)
            if found and int(found[2]) == number:
                os.unlink(os.path.join(self.folder, name))

    def _prefix(self, number):
        return os.path.join(self.folder, f"ckpt-{number}")
