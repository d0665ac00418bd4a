"""Training runs of a second: a network of two layers on a handful of pictures, without the report at the end."""

import json
import os
import signal

import numpy as np
import tensorflow as tf

import nets
import train_loop
import weights
from nets.layers import Conv, Linear
from ops import gap

from small_sets import class_folders

EPOCHS = 3
STEPS = 4  # of an epoch


class TinyNet(tf.Module):
    """One convolution and a linear layer, which answers the calls that AlexNet answers."""

    frozen, head_layers = "pooled", ("head",)
    defaults = {"head": "gap"}
    smallest = 1

    def __init__(self, classes, *, head="gap", seed=0):
        super().__init__(name="alexnet")
        rng = np.random.default_rng(seed)
        self.conv1 = Conv(3, 4, 3, stride=4, bias=True, rng=rng)
        self.head = Linear(4, classes, rng=rng)

    def __call__(self, pictures, training=False):
        features = tf.nn.relu(self.conv1(pictures))
        pooled = gap(features)
        return self.head(pooled), {"features": features, "pooled": pooled}

    def behind_frozen(self, pooled, training=False):
        return self.head(pooled)

    def grid(self, size):
        return 0.5, 4

    @staticmethod
    def usual_size(**_):
        return 16


def use_tiny_network(monkeypatch):
    """--network alexnet is TinyNet, and a run ends without judging what it exported."""
    monkeypatch.setitem(nets.NETWORKS, "alexnet", TinyNet)
    monkeypatch.setattr(train_loop, "report", lambda *_: None)


def picture_folders(root):
    """Two classes of eight pictures to train on and three to judge by."""
    class_folders(root / "train", {"cat": 8, "dog": 8})
    class_folders(root / "val", {"cat": 3, "dog": 3})
    return str(root)


def train(data, out, *options, epochs=EPOCHS):
    return train_loop.main(["--network", "alexnet", "--size", "16", "--batch", "4", "--precision", "float32",
                            "--data", str(data), "--out", str(out), "--epochs", str(epochs), *options])


def resume(run, *options):
    return train_loop.main(["--resume", *map(str, (run, *options))])


def signal_at(monkeypatch, step, *numbers):
    """Send these signals while the given step, counted from 1, is computed."""
    original = train_loop.cam_training.Trainer.__init__

    def init(self, *arguments):
        original(self, *arguments)
        compute, done = self.step, []

        def counted(*batch):
            done.append(1)
            for number in numbers if len(done) == step else ():
                send(number)
            return compute(*batch)
        self.step = counted
    monkeypatch.setattr(train_loop.cam_training.Trainer, "__init__", init)


def send(number):
    """A signal to this process, which would end the tests if nobody took it."""
    assert callable(signal.getsignal(number)), f"nobody takes {signal.Signals(number).name}"
    signal.raise_signal(number)


def log_of(run):
    """log.jsonl but for what depends on the clock."""
    with open(os.path.join(run, "log.jsonl"), encoding="utf-8") as file:
        return [{name: value for name, value in json.loads(line).items() if "second" not in name} for line in file]


def assert_same_end(run, other):
    """The same weights, bit for bit, the same description of them, and the same log."""
    ours, theirs = (weights.load(os.path.join(folder, "weights.npz")) for folder in (run, other))
    assert set(ours.tensors) == set(theirs.tensors)
    for name, tensor in theirs.tensors.items():
        np.testing.assert_array_equal(ours.tensors[name], tensor, err_msg=name)
    assert (ours.classes, ours.provenance) == (theirs.classes, theirs.provenance)
    assert log_of(run) == log_of(other)


def files_below(folder):
    """{path below the folder: content} of all files."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.relpath(os.path.join(path, name), folder)] = file.read()
    return found
