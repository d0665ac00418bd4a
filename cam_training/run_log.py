"""A run's figures, epoch by epoch: log.jsonl, TensorBoard's scalars, and the terminal."""

import contextlib
import json
import os

import numpy as np

from cam_base import InputError, first_line, open_regular, replacing
from cam_base.terminal import say
from ops.quiet_tensorflow import tf

SCALARS = ("loss", "accuracy", "validation_top1", "validation_top5")


class RunLog:
    """Writes the log of the run in `folder`. Checkpoints hold the same lines, so none can be lost."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "log.jsonl")
        self.folder = os.path.join(folder, "tensorboard")
        with self._refused():
            self.summary = tf.summary.create_file_writer(self.folder)

    def mend(self, lines):
        """Give log.jsonl the lines (bytes) of the checkpoint that is gone on from; return whether it lacked any."""
        try:
            with open_regular(self.path) as file:
                found = file.read()
        except FileNotFoundError:
            found = b""
        if found == lines:
            return False
        lacked = [line for line in lines.splitlines() if line not in found.splitlines()]
        for line in lacked:
            self._draw(json.loads(line))
        with replacing(self.path) as file:
            file.write(lines)
        return bool(lacked)

    def write(self, record, epochs):
        """One epoch's figures, of so many epochs."""
        # The line comes last: while it lacks, `mend` draws the scalars again.
        self._draw(record)
        with open(self.path, "ab") as log:
            log.write(line_of(record))
        shown = record | {"epoch": f"{record['epoch']}/{epochs}"}
        say("  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                      for key, value in shown.items()))

    def show(self, picture, epoch):
        """A picture, uint8 [H, W, 3], for TensorBoard: class maps after this epoch."""
        with self._refused():
            with self.summary.as_default(step=epoch):
                tf.summary.image("class maps", picture[None])

    def _draw(self, record):
        with self._refused():
            with self.summary.as_default(step=record["epoch"]):
                for name in SCALARS:
                    if name in record:
                        tf.summary.scalar(name, record[name])
            self.summary.flush()

    @contextlib.contextmanager
    def _refused(self):
        try:
            yield
        except tf.errors.OpError as error:
            raise InputError(f"{self.folder} cannot be written: {first_line(error)}") from None


def training_curves(lines):
    """{panel: (columns, rows)} of a log's lines (bytes), as `cam_evaluation.write_report` draws them."""
    records = [json.loads(line) for line in lines.splitlines()]
    panels = {"training loss": {"epoch": "epoch", "loss": "loss"},
              "training accuracy": {"epoch": "epoch", "accuracy": "training", "validation_top1": "validation top-1",
                                    "validation_top5": "validation top-5"}}
    panels = {name: {key: column for key, column in columns.items() if all(key in record for record in records)} for name, columns in panels.items()}
    return {name: (list(columns.values()), np.array([[record[key] for key in columns] for record in records], float))
            for name, columns in panels.items()} if records else {}


def is_best(lines):
    """Whether of a log's epochs (bytes) the last one has the highest validation top-1 accuracy, higher than any before."""
    found = [json.loads(line).get("validation_top1") for line in lines.splitlines()]
    return bool(found) and found[-1] is not None and all(before is None or before < found[-1] for before in found[:-1])


def schedule(trainer, points=200):
    """The learning rate by epoch, in the form of `training_curves`."""
    steps = np.linspace(0, trainer.last_step, points)
    rates = [float(trainer.learning_rate(step)) for step in steps]
    return {"learning rate": (["epoch", "learning rate"], np.column_stack([steps / trainer.steps_per_epoch, rates]))}


def line_of(record):
    """A record as it stands in log.jsonl."""
    return json.dumps(record).encode() + b"\n"
