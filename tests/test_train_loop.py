"""The training loop: it computes what it says, goes on as if nothing had happened, and fails in one line."""

import glob
import json
import math
import os
import shutil
import signal
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import train_loop
import weights
from cam_base import InputError
from cam_data import synthetic

SMALL = ["--width", "8", "--size", "32", "--batch", "32", "--rows", "160", "--precision", "float32"]


def train(*arguments):
    """The program's status, a hundred drawn pictures being judged: a thousand take longer than the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(synthetic.ROWS, "val", 100)
        return train_loop.main(list(arguments))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run of two epochs that nothing interrupted."""
    run = str(tmp_path_factory.mktemp("finished") / "run")
    assert train(*SMALL, "--epochs", "2", "--out", run) == 0
    return run


def log_of(run):
    with open(os.path.join(run, "log.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def interrupt_after(monkeypatch, steps):
    """Press Ctrl-C while the given step is computed."""
    original = train_loop.Trainer.__init__

    def init(self, *arguments):
        original(self, *arguments)
        step, done = self.step, []

        def counted(*batch):
            done.append(1)
            if len(done) == steps:
                signal.raise_signal(signal.SIGINT)
            return step(*batch)
        self.step = counted
    monkeypatch.setattr(train_loop.Trainer, "__init__", init)


@pytest.mark.parametrize("steps", [3, 5, 7])
def test_an_interrupted_run_goes_on_to_the_same_numbers(finished, tmp_path, monkeypatch, capsys, steps):
    run = str(tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupt_after(patch, steps)
        assert train(*SMALL, "--epochs", "2", "--out", run) == 130
    assert f"--resume {run}" in capsys.readouterr().out
    assert train("--resume", run) == 0
    ours, theirs = (weights.load(os.path.join(folder, "weights.npz")) for folder in (run, finished))
    for name, tensor in theirs.tensors.items():
        np.testing.assert_array_equal(ours.tensors[name], tensor, err_msg=name)
    for mine, other in zip(log_of(run), log_of(finished), strict=True):
        assert {k: v for k, v in mine.items() if "second" not in k} == {
            k: v for k, v in other.items() if "second" not in k}


def test_the_exported_file_holds_all_that_localizing_needs(finished):
    trained = weights.load(os.path.join(finished, "weights.npz"))
    assert len(trained.classes) == 10 and trained.preprocessing.size == 32
    assert trained.network["name"] == "resnet" and trained.network["width"] == 8
    assert trained.provenance["epochs_done"] == 2
    assert trained.provenance["settings"]["batch"] == 32


def test_the_figures_are_those_of_the_exported_file(finished):
    with open(os.path.join(finished, "metrics.json"), encoding="utf-8") as file:
        metrics = json.load(file)
    assert metrics["pictures"] == 100 and 0 <= metrics["gt_known_localization"] <= 1
    assert metrics["weights"].endswith("weights.npz") and metrics["map_scale"] == "min-max"
    # The float32 run's own figure differs from the float16 file's by rounding only.
    top1 = log_of(finished)[-1]["validation_top1"]
    assert metrics["top1_classification_error"] == pytest.approx(1 - top1, abs=0.02)


def test_a_step_is_nesterov_with_decay_on_kernels_only():
    """One layer, two steps, worked out in NumPy."""
    class OneLayer(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable([[0.5, -0.25, 0.0], [1.0, 0.0, 2.0]])
            self.bias = tf.Variable([0.1, 0.2, 0.3])

        def __call__(self, x, training):
            return x @ self.kernel + self.bias, {}

    net = OneLayer()
    settings = types.SimpleNamespace(warm_up=1, epochs=4, precision="float32", clip=0, weight_decay=0.1,
                                     learning_rate=0.5, label_smoothing=0.3, freeze_features=False,
                                     features_rate=1.0)
    trainer = train_loop.Trainer(net, settings, steps_per_epoch=2)
    x, labels = np.array([[1.0, 2.0], [-1.0, 0.5]], np.float32), np.array([2, 0], np.int32)
    kernel, bias = net.kernel.numpy(), net.bias.numpy()
    velocity = [np.zeros_like(kernel), np.zeros_like(bias)]
    for rate in (0.25, 0.5):  # two steps of warm-up to the peak of 0.5
        trainer.step(tf.constant(x), tf.constant(labels))
        logits = x @ kernel + bias
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        error = (probabilities - (0.7 * np.eye(3)[labels] + 0.1)) / 2
        gradients = [x.T @ error + 0.1 * kernel, error.sum(0)]
        velocity = [0.9 * v + g for v, g in zip(velocity, gradients)]
        kernel, bias = (p - rate * (g + 0.9 * v) for p, g, v in zip((kernel, bias), gradients, velocity))
    np.testing.assert_allclose(net.kernel, kernel, rtol=1e-5)
    np.testing.assert_allclose(net.bias, bias, rtol=1e-5)


def test_the_learning_rate_rises_then_falls_as_a_cosine():
    net = tf.Module()
    settings = types.SimpleNamespace(warm_up=2, epochs=10, precision="float32", learning_rate=1.0, freeze_features=False)
    trainer = train_loop.Trainer(net, settings, steps_per_epoch=5)
    rates = []
    for step in range(50):
        trainer.step_number.assign(step)
        rates.append(float(trainer._learning_rate()))
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_allclose(rates[10:], [0.5 * (1 + math.cos(math.pi * k / 40)) for k in range(40)], atol=1e-6)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(InputError, match="the loss is .* at step .*--learning-rate.*checkpoint"):
        train_loop.main([*SMALL, "--epochs", "9", "--warm-up", "0", "--learning-rate", "1e25",
                         "--out", str(tmp_path / "run")])


def test_a_broken_file_is_named_and_skipped(tmp_path, capfd):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            folder = tmp_path / "set" / split / name
            folder.mkdir(parents=True)
            for number in range(6):
                Image.fromarray(rng.integers(0, 255, (40, 30, 3), np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "set" / "train" / "cat" / "3.png").write_bytes(b"not a picture")
    (tmp_path / "set" / "val" / "dog" / "5.png").write_bytes(b"nor is this one")
    # A batch of 12 is all there is, and one of them is broken.
    for batch in ("2", "12"):
        run = tmp_path / batch
        assert train_loop.main(["--data", str(tmp_path / "set"), "--width", "8", "--size", "32", "--batch", batch,
                                "--epochs", "1", "--out", str(run)]) == 0
        said = capfd.readouterr().err
        assert os.path.join("cat", "3.png") in said and "1 of 12 files" in said
        assert os.path.join("dog", "5.png") in said
        metrics = json.loads((run / "metrics.json").read_text())
        assert metrics["pictures"] == 11 and metrics["left_out"] == 1 and log_of(run)[0]["step"] == {"2": 5, "12": 1}[batch]


def test_a_run_that_cannot_be_gone_on_with_is_one_line(finished, tmp_path):
    run = str(tmp_path / "run")
    shutil.copytree(finished, run)
    with open(tf.train.latest_checkpoint(os.path.join(finished, "checkpoints")) + ".data-00000-of-00001", "rb") as file:
        content = file.read()
    for path in glob.glob(os.path.join(run, "checkpoints", "*.data-*")):
        with open(path, "wb") as file:
            file.write(content[:5000])
    state = os.path.join(run, "checkpoints", "checkpoint")
    with open(state, encoding="utf-8") as file:
        text = file.read().replace(finished, run)
    with open(state, "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(InputError, match="is damaged, or the data have changed") as caught:
        train_loop.main(["--resume", run])
    assert "\n" not in str(caught.value)


def test_wrong_settings_are_refused_in_one_line(finished, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "settings.json").write_text('{"epochs": 3}')
    for arguments, message in (
            (["--out", finished], "already holds a run"),
            (["--resume", str(tmp_path)], "no run"),
            (["--resume", str(tmp_path / "old")], "not of this version"),
            (["--resume", finished, "--batch", "3"], "no other option"),
            (["--label-smoothing", "3", "--out", str(tmp_path / "a")], "--label-smoothing is 3.0"),
            (["--rows", "0", "--out", str(tmp_path / "a")], "--rows is 0"),
            (["--batch", "0", "--out", str(tmp_path / "a")], "--batch is 0"),
            (["--depth", "27", "--out", str(tmp_path / "a")], "depth is 27"),
            (["--data", str(tmp_path / "none"), "--out", str(tmp_path / "a")], "no such folder"),
            (["--classes", "99", "--out", str(tmp_path / "a")], "has 10 classes")):
        with pytest.raises(InputError, match=message) as caught:
            train_loop.main(arguments)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_the_loop_learns_to_localize_drawn_pictures(tmp_path):
    """The command of the README for newcomers, as it stands there."""
    run = str(tmp_path / "run")
    assert train_loop.main(["--out", run]) == 0
    with open(os.path.join(run, "metrics.json"), encoding="utf-8") as file:
        metrics = json.load(file)
    assert 1 - metrics["top1_classification_error"] >= 0.95
    assert metrics["gt_known_localization"] >= 0.85
    # Boxes in the middle must not do: what was found was looked for.
    assert metrics["centre_box_baseline"] < 0.5


def test_a_checkpoint_says_what_it_is_of(finished):
    """`weights.load` reads the last checkpoint as it reads the exported file."""
    latest = tf.train.latest_checkpoint(os.path.join(finished, "checkpoints"))
    ours, exported = weights.load(latest), weights.load(os.path.join(finished, "weights.npz"))
    assert ours.classes == exported.classes and ours.preprocessing == exported.preprocessing
    assert set(ours.tensors) == set(exported.tensors)
    for name, tensor in exported.tensors.items():
        np.testing.assert_array_equal(ours.tensors[name].astype(tensor.dtype), tensor, err_msg=name)
