"""The training loop: it computes what it says, goes on as if nothing had happened, and fails in one line."""

import glob
import json
import math
import os
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_networks import small_network
from small_training import (
    EPOCHS,
    STEPS,
    TinyNet,
    assert_same_end,
    log_of,
    picture_folders,
    send,
    signal_at,
    train,
    use_tiny_network,
)
from tensorboard.compat.proto.event_pb2 import Event

import cam_evaluation.report
import cam_training
import nets
import train_loop
import weights
from cam_base import Category, InputError
from cam_base.terminal import Stream
from cam_data import PictureSet, synthetic
from cam_training import Trainer, balanced_weights
from cam_training.rehearsal import duration

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SMALL = ["--width", "8", "--size", "32", "--batch", "32", "--rows", "160", "--precision", "float32"]


@pytest.fixture(scope="module", autouse=True)
def a_hundred_judged():
    """A thousand drawn pictures take longer to judge than the training does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(synthetic.ROWS, "val", 100)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run of two epochs that nothing interrupted."""
    run = str(tmp_path_factory.mktemp("finished") / "run")
    assert train_loop.main([*SMALL, "--epochs", "2", "--out", run]) == 0
    return run


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_numbers(finished, tmp_path, monkeypatch, capsys):
    """With the momenta and the statistics of batch normalisation that a network in use has."""
    run = str(tmp_path / "run")
    monkeypatch.setattr(train_loop, "report", lambda *_: None)
    with monkeypatch.context() as patch:
        signal_at(patch, 7, signal.SIGINT)
        assert train_loop.main([*SMALL, "--epochs", "2", "--out", run]) == 130
    assert f"--resume {run}" in capsys.readouterr().out
    assert train_loop.main(["--resume", run]) == 0
    assert_same_end(run, finished)


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


class OneLayer(tf.Module):
    head_layers = ("head",)  # as all networks say it

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable([[0.5, -0.25, 0.0], [1.0, 0.0, 2.0]])
        self.bias = tf.Variable([0.1, 0.2, 0.3])

    def __call__(self, x, training):
        return x @ self.kernel + self.bias, {}


def test_a_step_is_nesterov_with_decay_on_kernels_only():
    """One layer, two steps, worked out in NumPy."""
    net = OneLayer()
    settings = settings_of_a_step(warm_up=1, epochs=4, weight_decay=0.1, label_smoothing=0.3)
    trainer = Trainer(net, settings, 2, b"")
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


def test_weights_of_classes_multiply_the_loss_of_their_pictures():
    """Three pictures of class 0 and one of class 2, by hand: weights 4 / (2 * 3), 0 and 4 / 2, whose mean over the pictures is 1."""
    pictures = PictureSet("some", [Category(None, name) for name in "abc"], np.array([0, 0, 2, 0], np.int32), list("wxyz"))
    weights = balanced_weights(pictures)
    np.testing.assert_allclose(weights, [2 / 3, 0, 2])
    assert weights.dtype == np.float32
    x, labels = np.array([[1.0, 2.0], [-1.0, 0.5]], np.float32), np.array([2, 0], np.int32)
    net = OneLayer()
    logits = x @ net.kernel.numpy() + net.bias.numpy()
    losses = np.log(np.exp(logits).sum(1)) - logits[[0, 1], labels]
    for given, wanted in ((weights, (2 * losses[0] + 2 / 3 * losses[1]) / 2), (None, losses.mean())):
        assert float(Trainer(OneLayer(), settings_of_a_step(), 2, b"", weights=given).step(x, labels)) == pytest.approx(wanted, rel=1e-5)


def test_the_learning_rate_rises_then_falls():
    net = tf.Module()
    for schedule, falling in (("cosine", [0.5 * (1 + math.cos(math.pi * k / 40)) for k in range(40)]), ("one-cycle", 1 - np.arange(40) / 40)):
        trainer = Trainer(net, settings_of_a_step(warm_up=2, epochs=10, learning_rate=1.0, schedule=schedule), 5, b"")
        rates = []
        for step in range(50):
            trainer.step_number.assign(step)
            rates.append(float(trainer.learning_rate(trainer.step_number)))
        np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10, rtol=1e-6)
        np.testing.assert_allclose(rates[10:], falling, atol=1e-6)


@pytest.mark.parametrize("epochs, warm_up", [(1, 1), (4, 9), (3, 3)])
def test_the_learning_rate_falls_where_the_warm_up_is_as_long_as_the_training(epochs, warm_up):
    trainer = Trainer(tf.Module(), settings_of_a_step(warm_up=warm_up, epochs=epochs, learning_rate=1.0, schedule="one-cycle"), 20, b"")
    rates = [float(trainer.learning_rate(tf.constant(step, tf.int64))) for step in range(20 * epochs)]
    assert np.argmax(rates) in (10 * epochs - 1, 10 * epochs) and max(rates) == pytest.approx(1) and rates[-1] < 0.11


def settings_of_a_step(**changes):
    return types.SimpleNamespace(**{"warm_up": 0, "epochs": 9, "precision": "float32", "clip": 0, "weight_decay": 0,
                                    "learning_rate": 0.5, "label_smoothing": 0, "freeze_features": False,
                                    "features_rate": 1.0, "init": None, "seed": 0, "mixup": 0, "cutmix": 0, "mixed": 1.0, "average": 0,
                                    "schedule": "cosine"} | changes)


def test_clip_shortens_the_gradient_to_its_largest_norm():
    """The first step, whose momentum is the gradient itself: along the unclipped one, of the length asked for."""
    x, labels = tf.constant([[1.0, 2.0], [-1.0, 0.5]]), tf.constant([2, 0])
    steps = {}
    for clip in (0, 0.1, 100):
        net = OneLayer()
        before = np.concatenate([net.kernel.numpy().ravel(), net.bias.numpy()])
        Trainer(net, settings_of_a_step(clip=clip), 2, b"").step(x, labels)
        steps[clip] = before - np.concatenate([net.kernel.numpy().ravel(), net.bias.numpy()])
    rate = 0.5 * (1 + 0.9)  # the warm-up lasts one step at least; then Nesterov's look ahead
    assert np.linalg.norm(steps[0]) > rate * 0.1
    assert np.linalg.norm(steps[0.1]) == pytest.approx(rate * 0.1, rel=1e-4)
    np.testing.assert_allclose(steps[0.1] / np.linalg.norm(steps[0.1]), steps[0] / np.linalg.norm(steps[0]), atol=1e-5)
    np.testing.assert_allclose(steps[100], steps[0], rtol=1e-5)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_features_learn_at_their_share_of_the_rate_and_the_head_at_all_of_it(share):
    x, labels = tf.random.stateless_uniform([4, 16, 16, 3], [1, 2]), tf.constant([0, 1, 2, 1])
    moved = {}
    for rate in (1.0, share):
        net = TinyNet(3)
        before = {name: variable.numpy() for name, variable in nets.named_variables(net).items()}
        Trainer(net, settings_of_a_step(features_rate=rate), 2, b"").step(x, labels)
        moved[rate] = {name: variable.numpy() - before[name] for name, variable in nets.named_variables(net).items()}
    for name, whole in moved[1.0].items():
        assert np.abs(whole).max() > 1e-3, name
        np.testing.assert_allclose(moved[share][name], whole * (1 if name.startswith("head") else share), atol=1e-6,
                                   err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("init", [None, "weights.npz"])
def test_batch_norm_in_layers_of_init_keeps_its_statistics_and_learns(init):
    """And dropout in front of the head stays what it is in training."""
    net = small_network("efficientnet-lite0")
    net.dropout = 0.5
    before = {name: variable.numpy() for name, variable in nets.named_variables(net).items()}
    x, labels = tf.random.stateless_uniform([2, 32, 32, 3], [1, 2]), tf.constant([0, 1])
    trainer = Trainer(net, settings_of_a_step(init=init), 2, b"")
    assert np.abs(trainer._logits(net, x, True) - trainer._logits(net, x, False)).max() > 1e-3
    trainer.step(x, labels)
    for name, variable in nets.named_variables(net).items():
        moved = not np.array_equal(variable, before[name])
        if name.endswith(("/mean", "/variance")):
            assert moved == (init is None), name
        elif name in ("head/bias", "top_norm/beta", "stem_norm/gamma"):
            assert moved, name


# ---------------------------------------------------------------- numbers that grow without bound

def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    data = picture_folders(tmp_path / "pictures")
    with pytest.raises(InputError, match="the loss is .* at step .* with --learning-rate 1e[+]25: start again with a "
                                         "lower one; the last good checkpoint is none yet") as caught:
        train(data, tmp_path / "run", "--warm-up", "0", "--learning-rate", "1e25")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e5, 1e20, np.inf, np.nan])
def test_kernels_that_float16_cannot_hold_stop_the_run_and_the_last_good_weights_stay(tmp_path, monkeypatch, value):
    """They outgrow it in the second epoch's last step, after which no loss is computed."""
    use_tiny_network(monkeypatch)
    original = cam_training.Trainer.__init__

    def init(self, *arguments):
        original(self, *arguments)
        step = self.step

        def growing(*batch):
            loss = step(*batch)
            if self.step_number == 2 * STEPS:
                self.net.head.kernel.assign(tf.fill(self.net.head.kernel.shape, value))
            return loss
        self.step = growing
    monkeypatch.setattr(cam_training.Trainer, "__init__", init)
    run = tmp_path / "run"
    with pytest.raises(InputError, match="head/kernel has grown beyond what a weights file holds at step 8, with "
                                         "--learning-rate 0.1: .* the last good checkpoint is .*/ckpt-1$"):
        train(picture_folders(tmp_path / "pictures"), run)
    assert weights.load(run / "weights.npz").provenance["epochs_done"] == 1
    assert weights.load(run / "checkpoints" / "ckpt-1.index").tensors.keys() == {
        "conv1/kernel", "conv1/bias", "head/kernel", "head/bias"}
    assert len(log_of(run)) == 1 and not (run / "checkpoints" / "ckpt-2.index").exists()


# ---------------------------------------------------------------- stopping

def test_a_second_ctrl_c_stops_at_once(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    run, data = tmp_path / "run", picture_folders(tmp_path / "pictures")
    # Where the tests run in the background of a script, they were started to ignore Ctrl-C.
    before, found = signal.default_int_handler, signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            signal_at(patch, STEPS + 2, signal.SIGINT, signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                train(data, run)
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, found)
    # What stands is the end of the first epoch.
    assert len(log_of(run)) == 1 and sorted(os.listdir(run / "checkpoints"))[-1] == "ckpt-1.index"


@pytest.mark.slow
def test_a_signal_while_the_epoch_is_judged_keeps_its_steps(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    data = picture_folders(tmp_path / "pictures")
    assert train(data, tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        guesses, done = cam_training.Trainer.guesses, []

        def interrupted(self, *arguments):
            done.append(1)
            if len(done) == 2:
                send(signal.SIGTERM)
            return guesses(self, *arguments)
        patch.setattr(cam_training.Trainer, "guesses", interrupted)
        assert train(data, tmp_path / "run") == 143
    assert len(log_of(tmp_path / "run")) == 1
    with monkeypatch.context() as patch:
        signal_at(patch, STEPS + 1, signal.SIGINT)  # the third epoch's are all that is left
        assert train_loop.main(["--resume", str(tmp_path / "run")]) == 0
    assert_same_end(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
def test_output_that_nobody_reads_does_not_stop_a_training(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    data = picture_folders(tmp_path / "pictures")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as pipe, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Stream(pipe, writing))
        assert train(data, tmp_path / "run") == 0
    assert len(log_of(tmp_path / "run")) == EPOCHS


@pytest.mark.slow
def test_a_training_whose_first_line_only_is_read_goes_on(tmp_path):
    data = picture_folders(tmp_path / "pictures")
    command = [sys.executable, "train_loop.py", "--data", data, "--width", "8", "--size", "32", "--batch", "8",
               "--epochs", "2", "--precision", "float32", "--out", str(tmp_path / "run")]
    program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout.readline().startswith(b"16 pictures of 2 classes")
    program.stdout.close()
    assert program.wait() == 0, program.stderr.read()
    program.stderr.close()
    assert len(log_of(tmp_path / "run")) == 2 and (tmp_path / "run" / "metrics.json").exists()


def test_a_run_says_its_classes_how_far_it_is_and_what_comes_next(tmp_path, monkeypatch, capsys):
    use_tiny_network(monkeypatch)
    data, run = picture_folders(tmp_path / "pictures"), tmp_path / "a run"
    assert train(data, run, epochs=2) == 0
    said = capsys.readouterr().out
    assert "Classes, and their pictures: cat 8, dog 8\n" in said
    assert "epoch 1/2  step 4  " in said and "epoch 2/2  step 8  " in said
    assert f"python localize.py PICTURES --weights '{run}'\n" in said
    assert f"python evaluate.py --data {data} --weights '{run}'\n" in said


def test_of_many_classes_the_first_ten_are_named():
    counts = types.SimpleNamespace(labels=np.repeat(np.arange(13), np.arange(1, 14)),
                                   categories=[Category(None, f"c{number}, other name") for number in range(13)])
    assert cam_training.class_counts(counts) == (
        "c0 1, c1 2, c2 3, c3 4, c4 5, c5 6, c6 7, c7 8, c8 9, c9 10, and 3 more of 11 to 13")


# ---------------------------------------------------------------- the run's record

def test_tensorboards_scalars_are_those_of_the_log_and_its_pictures_change(finished):
    drawn, maps = {}, {}
    for path in glob.glob(os.path.join(finished, "tensorboard", "*")):
        for content in tf.data.TFRecordDataset(path):
            event = Event.FromString(content.numpy())
            for value in event.summary.value:
                if value.tag == "class maps":
                    width, height, png = tf.make_ndarray(value.tensor)
                    maps[event.step] = tf.io.decode_png(png).numpy()
                    assert maps[event.step].shape == (int(height), int(width), 3) == (360, 480, 3)  # twelve pictures
                    continue
                drawn[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    names = ("loss", "accuracy", "validation_top1", "validation_top5")
    assert drawn == {(line["epoch"], name): pytest.approx(line[name]) for line in log_of(finished) for name in names}
    assert set(maps) == {1, 2} and np.abs(maps[1].astype(int) - maps[2]).max() > 20


@pytest.mark.slow
@pytest.mark.parametrize("batch, steps", [
    ("2", 5),
    ("12", 1)])  # all there is, and one of them is broken
def test_a_broken_file_is_named_and_skipped(batch, steps, tmp_path, capfd):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            folder = tmp_path / "set" / split / name
            folder.mkdir(parents=True)
            for number in range(6):
                Image.fromarray(rng.integers(0, 255, (40, 30, 3), np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "set" / "train" / "cat" / "3.png").write_bytes(b"not a picture")
    (tmp_path / "set" / "val" / "dog" / "5.png").write_bytes(b"nor is this one")
    run = tmp_path / "run"
    assert train_loop.main(["--data", str(tmp_path / "set"), "--width", "8", "--size", "32", "--batch", batch,
                            "--epochs", "1", "--out", str(run)]) == 0
    said = capfd.readouterr().err
    assert os.path.join("cat", "3.png") in said and "1 of 12 files" in said
    assert os.path.join("dog", "5.png") in said
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["pictures"] == 11 and metrics["left_out"] == 1
    assert log_of(run)[0]["step"] == steps


def test_wrong_settings_are_refused_in_one_line(finished, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "settings.json").write_text('{"epochs": 3}')
    for arguments, message in (
            (["--out", finished], "already holds a run"),
            (["--resume", str(tmp_path)], "no run"),
            (["--resume", str(tmp_path / "old")], "not of this version"),
            (["--resume", finished, "--batch", "3"], "only --epochs and --out may change"),
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
    latest = os.path.join(finished, "checkpoints", "ckpt-2")
    ours, exported = weights.load(latest), weights.load(os.path.join(finished, "weights.npz"))
    assert ours.classes == exported.classes and ours.preprocessing == exported.preprocessing
    assert set(ours.tensors) == set(exported.tensors)
    for name, tensor in exported.tensors.items():
        np.testing.assert_array_equal(ours.tensors[name].astype(tensor.dtype), tensor, err_msg=name)


# ---------------------------------------------------------------- before and after

@pytest.mark.parametrize("options", [[], ["--init", "INIT", "--freeze-features"]])
def test_a_dry_run_says_how_long_it_will_take_and_writes_nothing(options, tmp_path, monkeypatch, capsys):
    use_tiny_network(monkeypatch)
    data, run = picture_folders(tmp_path / "pictures"), tmp_path / "run"
    if options:
        assert train(data, tmp_path / "first", epochs=1) == 0
        options = ["--init", str(tmp_path / "first"), "--freeze-features"]
        arguments = ["--batch", "4", "--precision", "float32", "--data", data, "--out", str(run), "--epochs", "7", *options]
    else:
        arguments = ["--network", "alexnet", "--size", "16", "--batch", "4", "--precision", "float32", "--data", data, "--out", str(run),
                     "--epochs", "7"]
    capsys.readouterr()
    before = sorted(os.listdir(tmp_path))
    assert train_loop.main([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert sorted(os.listdir(tmp_path)) == before and "Dry run: nothing was written" in said
    assert "16 pictures of 2 classes" in said and "ms a step of 4 pictures" in said
    assert "An epoch: 4 steps in " in said and "and 6 validation pictures in " in said and "7 epochs: about " in said
    assert "; checkpoint and weights in " in said
    with pytest.raises(InputError, match="--dry-run does not go with --resume"):
        train_loop.main(["--resume", str(run), "--dry-run"])


def test_what_a_rehearsal_adds_up_to():
    found = cam_training.Rehearsal(10, 64, 100, 1000, first_step=20.0, step=0.5, judging=8.0, saving=1.5, preparing=60.0, memory=1_500_000_000)
    assert found.total == 60 + 20 + 10 * (100 * 0.5 + 1.5 + 8)
    words = found.in_words()
    assert "500 ms a step of 64 pictures (128 pictures/s)" in words and "100 steps in 50 s, and 1,000 validation pictures in 8.0 s; checkpoint and weights in 1.5 s" in words
    assert words.endswith("10 epochs: about 11 min 15 s; memory so far: 1.5 GB at most")
    assert [duration(seconds) for seconds in (0.04, 9.94, 9.96, 59.4, 59.6, 3599.6, 7500, 4e6)] == [
        "0.0 s", "9.9 s", "10 s", "59 s", "1 min 0 s", "1 h 0 min", "2 h 5 min", "1,111 h 6 min"]


def test_the_curves_of_a_run_are_those_of_its_log(finished, monkeypatch, tmp_path):
    """curves.png begins with loss and accuracy by epoch; the evaluation's curves follow."""
    with open(os.path.join(finished, "log.jsonl"), "rb") as file:
        curves = cam_training.training_curves(file.read())
    log = log_of(finished)
    assert curves["training loss"][0] == ["epoch", "loss"]
    np.testing.assert_array_equal(curves["training loss"][1], [[record["epoch"], record["loss"]] for record in log])
    np.testing.assert_array_equal(curves["training accuracy"][1][:, 2], [record["validation_top1"] for record in log])
    drawn = Image.open(os.path.join(finished, "curves.png"))
    assert drawn.width == 600 * 4  # loss, accuracy and learning rate, and MaxBoxAcc
    cam_evaluation.report.draw_curves(str(tmp_path / "again.png"), curves)
    assert Image.open(tmp_path / "again.png").width == 600 * 2
    assert cam_training.training_curves(b"") == {}


@pytest.mark.parametrize("classes, expected", [(2, {"validation_top1"}), (5, {"validation_top1"}), (6, {"validation_top1", "validation_top5"})])
def test_of_five_classes_and_fewer_the_first_five_are_no_figure(classes, expected):
    labels = np.zeros(4, int)
    trainer = types.SimpleNamespace(guesses=lambda inputs, k: np.tile(np.arange(k), (4, 1)))
    source = types.SimpleNamespace(pictures=types.SimpleNamespace(categories=list(range(classes))), viewing_batches=lambda batch: [(None, tf.constant(labels))])
    found = train_loop.validate(trainer, source, types.SimpleNamespace(status=None))
    assert set(found) == expected and found["validation_top1"] == 1
