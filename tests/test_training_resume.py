"""A training that was killed, damaged or tampered with goes on to the same end, or says in one line why it cannot."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import tensorflow as tf
from small_training import (
    EPOCHS,
    STEPS,
    assert_same_end,
    files_below,
    log_of,
    picture_folders,
    resume,
    signal_at,
    train,
    use_tiny_network,
)

import cam_training
import train_loop
import weights
from cam_base import InputError

from small_sets import write_picture

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run of three epochs that nothing interrupted: to be copied, not changed."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_network(monkeypatch)
        assert train(picture_folders(root / "pictures"), root / "run") == 0
    return str(root / "run")


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A copy of it, which may be damaged."""
    use_tiny_network(monkeypatch)
    return shutil.copytree(finished, tmp_path / "run")


def refused(arguments, match):
    with pytest.raises(InputError, match=match) as caught:
        train_loop.main(list(map(str, arguments)))
    assert "\n" not in str(caught.value)


def held(run):
    """All that a run has, but for what TensorBoard reads."""
    return {name: content for name, content in files_below(run).items() if not name.startswith("tensorboard")}


# ---------------------------------------------------------------- checkpoints

def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 64
    path.write_bytes(content)


DAMAGE = {
    "index removed": lambda index, data: index.unlink(),
    "index empty": lambda index, data: index.write_bytes(b""),
    "index truncated": lambda index, data: cut(index, 200),
    "index flipped": lambda index, data: flip(index, 40),
    "index garbage": lambda index, data: index.write_bytes(bytes(range(256)) * 9),
    "data removed": lambda index, data: data.unlink(),
    "data truncated": lambda index, data: cut(data, -20),
    "data flipped": lambda index, data: flip(data, 3),
    "data a pipe": lambda index, data: (data.unlink(), os.mkfifo(data)),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_leads_to_the_same_end(run, finished, damage, capsys):
    DAMAGE[damage](run / "checkpoints" / "ckpt-3.index", run / "checkpoints" / "ckpt-3.data-00000-of-00001")
    assert resume(run) == 0
    said = capsys.readouterr().err
    assert f"{run}/checkpoints/ckpt-3 is damaged: " in said and f"going on from {run}/checkpoints/ckpt-2" in said
    assert_same_end(run, finished)


def test_without_a_readable_checkpoint_nothing_is_begun_and_nothing_is_touched(run):
    for number in (2, 3):
        cut(run / "checkpoints" / f"ckpt-{number}.data-00000-of-00001", 50)
    before = held(run)
    refused(["--resume", run], "no checkpoint that can be read.*weights.npz by --init")
    assert held(run) == before


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00\x01", b'model_checkpoint_path: "ckpt-1"'])
def test_the_file_that_tensorflow_lists_checkpoints_in_is_not_needed(run, content):
    listed = run / "checkpoints" / "checkpoint"
    if content is not None:
        listed.write_bytes(content)
    assert resume(run, "--epochs", EPOCHS + 1) == 0
    assert [line["epoch"] for line in log_of(run)] == [1, 2, 3, 4]


def test_a_run_whose_checkpoints_are_gone_does_not_begin_again_over_its_weights(run):
    shutil.rmtree(run / "checkpoints")
    for left in ("weights.npz", "log.jsonl"):
        before = held(run)
        refused(["--resume", run], f"has {left} but no checkpoint")
        assert held(run) == before
        (run / left).unlink()
    assert resume(run) == 0  # as one that was killed in its first epoch
    assert len(log_of(run)) == EPOCHS


def test_what_was_not_read_is_not_deleted(run):
    folder = run / "checkpoints"
    cut(folder / "ckpt-3.data-00000-of-00001", 50)
    damaged = {name: content for name, content in files_below(folder).items() if "ckpt-3" in name}
    assert resume(run, "--epochs", EPOCHS + 2) == 0
    kept = files_below(folder)
    assert damaged.items() <= kept.items()
    # Of what this run wrote the last two, numbered behind all that were there.
    assert {name.split(".")[0] for name in kept} == {"ckpt-3", "ckpt-5", "ckpt-6"}


def test_a_disk_that_is_full_leaves_no_half_checkpoint(run, monkeypatch):
    def write(self, prefix):
        with open(prefix + ".data-00000-of-00001", "wb") as file:
            file.write(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, "no space left\nat all")
    before = sorted(os.listdir(run / "checkpoints"))
    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", write)
        refused(["--resume", run, "--epochs", 4], "ckpt-4 cannot be written: no space left")
    assert sorted(os.listdir(run / "checkpoints")) == before
    assert resume(run, "--epochs", 4) == 0 and len(log_of(run)) == 4


# ---------------------------------------------------------------- what a kill leaves

def half_a_line(lines):
    return lines[:-20]


@pytest.mark.parametrize("spoil", [
    lambda lines: b"".join(lines.splitlines(True)[:-1]), half_a_line, lambda lines: b"", lambda lines: b"\xff\n",
    lambda lines: lines + b'{"epoch": 4}\n', None])
def test_the_log_is_made_good_from_the_checkpoint(run, spoil):
    log = run / "log.jsonl"
    lines = log.read_bytes()
    log.unlink() if spoil is None else log.write_bytes(spoil(lines))
    assert resume(run) == 0
    assert log.read_bytes() == lines


def test_weights_that_were_not_exported_are_exported_when_the_run_goes_on(run, finished):
    shutil.copy(os.path.join(ROOT, "weights", "tiny-imagenet-100-resnet26.npz"), run / "weights.npz")  # another epoch's
    cut(run / "log.jsonl", -10)
    assert resume(run) == 0
    assert_same_end(run, finished)
    (run / "weights.npz").unlink()
    assert resume(run) == 0
    assert_same_end(run, finished)


def test_what_a_kill_left_half_written_is_cleared_away(run):
    (run / "checkpoints" / "ckpt-4_temp").mkdir()
    for left in (".unfinished-abc", "checkpoints/checkpoint.tmp123", "checkpoints/ckpt-4_temp/part-00000-of-00001"):
        (run / left).write_bytes(b"half")
    (run / "notes.txt").write_text("mine")
    assert resume(run) == 0
    names = files_below(run)
    assert "notes.txt" in names
    assert not [name for name in names if "unfinished" in name or "temp" in name or "tmp" in name]


# ---------------------------------------------------------------- one process at a time

def test_a_folder_in_which_a_process_trains_is_refused(run, tmp_path, finished):
    before = held(run)
    data = json.loads((run / "settings.json").read_text())["data"]
    with cam_training.holding(str(run)), cam_training.holding(str(tmp_path / "new")):
        refused(["--resume", run], "another process trains in this folder")
        refused(["--data", data, "--network", "alexnet", "--out", tmp_path / "new"], "another process trains")
    assert held(run) == before
    assert resume(run) == 0


def test_a_killed_process_leaves_no_lock(run):
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; from cam_base import locked\n"
         "with locked(sys.argv[1], 'taken'): print('held', flush=True); time.sleep(60)", str(run / ".lock")],
        cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        refused(["--resume", run], "another process trains")
        holder.kill()
    assert resume(run) == 0


@pytest.mark.parametrize("left", ["settings.json", "weights.npz", "log.jsonl", "checkpoints"])
def test_a_new_run_is_not_begun_over_what_is_left_of_another(run, left):
    data = json.loads((run / "settings.json").read_text())["data"]
    for name in {"settings.json", "weights.npz", "log.jsonl", "checkpoints"} - {left}:
        shutil.rmtree(run / name) if name == "checkpoints" else (run / name).unlink()
    before = held(run)
    refused(["--data", data, "--network", "alexnet", "--out", run], f"already holds a run .{left}")
    assert held(run) == before


@pytest.mark.parametrize("left", ["best.npz", "examples"])
def test_what_only_a_run_with_a_checkpoint_has_is_a_run(run, left):
    (run / "examples").mkdir(exist_ok=True)
    data = json.loads((run / "settings.json").read_text())["data"]
    for name in {"settings.json", "weights.npz", "log.jsonl", "checkpoints", "best.npz", "examples"} - {left}:
        shutil.rmtree(run / name) if name in ("checkpoints", "examples") else (run / name).unlink()
    refused(["--data", data, "--network", "alexnet", "--out", run], f"already holds a run .{left}")


def test_a_run_that_failed_at_its_first_step_may_be_begun_again(tmp_path, finished, monkeypatch, capsys):
    """With the same command, when the pictures are mended; also with another one; and it ends as if nothing had been there."""
    use_tiny_network(monkeypatch)
    data, run = json.loads(open(os.path.join(finished, "settings.json")).read())["data"], tmp_path / "run"

    def fail(*_):
        raise InputError("no first step")

    with monkeypatch.context() as patch:
        patch.setattr(train_loop, "train_epoch", fail)
        for options in ([], ["--learning-rate", "0.01"]):
            with pytest.raises(InputError, match="no first step"):
                train(data, run, *options)
    assert {"settings.json", "data.json", "tensorboard"} <= set(os.listdir(run)) and not (run / "weights.npz").exists()
    assert json.loads((run / "settings.json").read_text())["learning_rate"] == 0.01
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "ckpt-1_temp").write_bytes(b"half")
    capsys.readouterr()
    assert train(data, run) == 0
    assert f"{run}: a run that was begun here has no checkpoint; it is begun again" in capsys.readouterr().out
    assert_same_end(run, finished)
    refused(["--data", data, "--network", "alexnet", "--out", run], "already holds a run .settings.json.")


@pytest.mark.parametrize("content", ['{"theme": "dark"}', "[1]", "no JSON", "[" * 100_000])
def test_settings_of_somebody_else_are_not_written_over(tmp_path, monkeypatch, content):
    use_tiny_network(monkeypatch)
    data = picture_folders(tmp_path / "pictures")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "settings.json").write_text(content)
    refused(["--data", data, "--network", "alexnet", "--out", tmp_path / "out"], "settings.json is of somebody else, and is not written over")
    assert (tmp_path / "out" / "settings.json").read_text() == content


# ---------------------------------------------------------------- other data

@pytest.fixture
def moving(tmp_path, monkeypatch):
    """(pictures, run) of one epoch on pictures that may be changed."""
    use_tiny_network(monkeypatch)
    assert train(picture_folders(tmp_path / "pictures"), tmp_path / "run", epochs=1) == 0
    return tmp_path / "pictures", tmp_path / "run"


def rename_class(pictures):
    for split in ("train", "val"):
        os.rename(pictures / split / "cat", pictures / split / "wolf")


def swap_classes(pictures):
    for one, other in (("cat", "x"), ("dog", "cat"), ("x", "dog")):
        os.rename(pictures / "train" / one, pictures / "train" / other)


CHANGES = {
    "class renamed": (rename_class, "classes: 1 missing .cat.; classes: 1 new .wolf."),
    "classes swapped": (swap_classes, "training pictures: 16 missing .cat/cat-0.png., 16 new .cat/dog-0.png."),
    "class added": (lambda p: write_picture(str(p / "train" / "ant" / "1.png"), 1), "classes: 1 new .ant."),
    "picture added": (lambda p: write_picture(str(p / "train" / "cat" / "new.png"), 1),
                      "training pictures: 1 new .cat/new.png."),
    "picture removed": (lambda p: (p / "val" / "dog" / "dog-1.png").unlink(),
                        "validation pictures: 1 missing .dog/dog-1.png."),
    "picture altered": (lambda p: flip(p / "train" / "dog" / "dog-4.png", -1),
                        "training pictures: 1 changed .dog/dog-4.png."),
    "all moved away": (lambda p: os.rename(p, p.parent / "elsewhere"), "no such folder"),
}


def test_other_data_are_refused_and_what_changed_is_said(moving, tmp_path):
    pictures, run = moving
    aside, before = tmp_path / "aside", held(run)
    shutil.copytree(pictures, aside)
    for change, said in CHANGES.values():
        change(pictures)
        refused(["--resume", run, "--epochs", 2], said)
        shutil.rmtree(pictures, ignore_errors=True)
        shutil.copytree(aside, pictures)
    assert held(run) == before
    assert resume(run, "--epochs", 2) == 0


def test_a_relative_folder_of_data_is_the_same_one_wherever_the_run_is_resumed(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    picture_folders(tmp_path / "here" / "pictures")
    picture_folders(tmp_path / "there" / "pictures")
    (tmp_path / "there" / "pictures" / "train" / "cat" / "cat-0.png").unlink()
    monkeypatch.chdir(tmp_path / "here")
    assert train("pictures", tmp_path / "run", epochs=1) == 0
    monkeypatch.chdir(tmp_path / "there")
    assert resume(tmp_path / "run", "--epochs", "2", "--data", tmp_path / "here" / "pictures") == 0
    refused(["--resume", tmp_path / "run", "--data", "pictures"], "--data .*there/pictures is not what the run")


@pytest.mark.parametrize("content", [None, b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000,
                                     b'{"classes": 1, "training": [], "validation": []}',
                                     b'{"classes": [], "training": [[[]]], "validation": []}'])
def test_a_run_whose_record_of_its_data_is_damaged_is_one_line(run, content):
    (run / "data.json").unlink()
    if content is not None:
        (run / "data.json").write_bytes(content)
    refused(["--resume", run], "data.json cannot be read|is not what .* was trained on")


# ---------------------------------------------------------------- options at --resume

def test_a_run_goes_on_to_another_number_of_epochs_in_any_order_of_options(run):
    assert resume(run, "--epochs=4") == 0 and len(log_of(run)) == 4
    assert train_loop.main(["--epochs=5", f"--resume={run}"]) == 0 and len(log_of(run)) == 5
    assert json.loads((run / "settings.json").read_text())["epochs"] == 5
    for made in (run / "weights.npz", run / "checkpoints" / "ckpt-5.index"):
        assert weights.load(made).provenance["settings"]["epochs"] == 5
    refused(["--resume", run, "--epochs", 4], "--epochs is 4, and .* has done 5 already")


def test_the_learning_rate_follows_the_new_number_of_epochs(run, monkeypatch):
    trainers, original = [], cam_training.Trainer.__init__
    monkeypatch.setattr(cam_training.Trainer, "__init__", lambda *a: (trainers.append(a[0]), original(*a))[1])
    assert resume(run, "--epochs", "4") == 0
    trainers[0].step_number.assign(2 * STEPS + STEPS // 2)  # half way from the warm-up's end to the fourth epoch's
    assert float(trainers[0].learning_rate(trainers[0].step_number)) == pytest.approx(0.05)


@pytest.mark.parametrize("option", [["--batch", "5"], ["--batch", "64"], ["--learning-rate", "0.2"], ["--size", "32"],
                                    ["--network", "resnet"], ["--depth", "50"], ["--rows", "4"], ["--seed", "1"],
                                    ["--precision", "bfloat16"], ["--clip", "1"]])
def test_an_option_that_differs_from_the_runs_own_is_refused_by_name(run, option):
    before = held(run)
    for arguments in (["--resume", run, *option], [*option, f"--resume={run}"]):
        refused(arguments, f"{option[0]} {option[1]}.* is not what the run .* only --epochs and --out may change")
    assert held(run) == before


def test_options_that_say_what_the_run_has_are_accepted(run):
    data = json.loads((run / "settings.json").read_text())["data"]
    assert resume(run, "--batch", "4", "--network", "alexnet", "--size", "16", "--learning-rate", "0.1", "--data", data,
                  "--precision", "float32", "--out", run, "--crop", "resized") == 0


@pytest.mark.parametrize("option", [["--crop", "padded"], ["--freeze-features"], ["--features-rate", "0.5"]])
def test_an_option_is_compared_with_the_runs_own_not_with_defaults(run, option):
    """Of which data or --init it goes with is the run's matter, not said again at --resume."""
    refused(["--resume", run, *option], f"{option[0]} .* is not what the run .* was begun with")


@pytest.mark.parametrize("name", ["run [2024]", "a\\b"])
def test_a_folder_whose_name_is_a_pattern_to_tensorflow_is_gone_on_with(finished, tmp_path, monkeypatch, name):
    use_tiny_network(monkeypatch)
    copy = shutil.copytree(finished, tmp_path / name)
    for other in ("weights.npz", "best.npz"):
        os.unlink(copy / other)
    assert resume(copy) == 0
    assert sorted(weights.load(copy / "weights.npz").tensors) == sorted(weights.load(copy / "checkpoints" / "ckpt-3").tensors)


def test_a_file_called_like_the_runs_own_list_is_not_written_over(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    data = picture_folders(tmp_path / "pictures")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "data.json").write_text('{"images": [], "annotations": [], "categories": []}')
    refused(["--data", data, "--out", tmp_path / "out"], "data.json is of somebody else, and is not written over")
    assert (tmp_path / "out" / "data.json").read_text().startswith('{"images"')
    assert train(data, tmp_path / "run", epochs=1) == 0
    refused(["--resume", tmp_path / "run", "--out", tmp_path / "out"], "data.json is of somebody else, and is not written over")
    (tmp_path / "out" / "data.json").write_text('{"classes": 0, "training": 0, "validation": 0}')  # as a run that was killed left it
    assert train(data, tmp_path / "out", epochs=1) == 0


def test_another_out_goes_on_in_a_copy(run, tmp_path, finished):
    before = held(run)
    assert resume(run, "--epochs", "4", "--out", tmp_path / "more") == 0
    assert held(run) == before | {".lock": b""}
    assert len(log_of(tmp_path / "more")) == 4
    assert weights.load(tmp_path / "more" / "weights.npz").provenance["epochs_done"] == 4
    refused(["--resume", run, "--out", tmp_path / "more"], "more already holds a run")


# ---------------------------------------------------------------- signals

@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_the_step_and_nothing_of_the_epoch_is_lost(finished, tmp_path, monkeypatch, capsys, number,
                                                                       status):
    use_tiny_network(monkeypatch)
    data = json.loads(open(os.path.join(finished, "settings.json")).read())["data"]
    with monkeypatch.context() as patch:
        signal_at(patch, STEPS + 2, number)
        assert train(data, tmp_path / "run") == status
    assert f"--resume {tmp_path}/run" in capsys.readouterr().out
    steps = []
    original = cam_training.Trainer.__init__

    def count(self, *arguments):
        original(self, *arguments)
        step = self.step
        self.step = lambda *batch: (steps.append(1), step(*batch))[1]
    monkeypatch.setattr(cam_training.Trainer, "__init__", count)
    assert resume(tmp_path / "run") == 0
    assert len(steps) == EPOCHS * STEPS - (STEPS + 2)
    assert_same_end(tmp_path / "run", finished)
