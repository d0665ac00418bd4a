"""Options and settings.json are checked by the same bounds; whatever else they hold is one line."""

import json
import os
import subprocess
import sys
from dataclasses import fields

import pytest
from small_training import train, use_tiny_network

import cam_training
import train_loop
from cam_base import Category, InputError
from cam_training.settings import RECIPES, Common, Settings, saved_settings

from small_sets import class_folders

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPTIONS = [entry.name for entry in fields(Common)]
# Right for no setting at all.
TINY = "tiny-imagenet-100"  # weights in the repository
NONSENSE = [[], {}, -1, float("inf"), float("nan"), 10**400, "\ud800", "", "a\0b"]


@pytest.fixture
def folder(tmp_path):
    """A folder with the settings.json of a new run."""
    settings, resumed, _ = cam_training.parse(["--precision", "float32", "--out", str(tmp_path)])
    assert resumed is None
    (tmp_path / "settings.json").write_text(json.dumps(vars(settings)))
    return tmp_path


def one_line(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit(folder, **changes):
    held = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(held | changes))


def test_settings_are_read_as_they_were_written(folder):
    settings, resumed, _ = cam_training.parse(["--resume", str(folder)])
    assert isinstance(settings, Settings) and resumed == settings.out == str(folder)
    assert (settings.epochs, settings.batch, settings.data, settings.init) == (12, 64, "synthetic", None)
    assert settings.network["depth"] == 26 and settings.preprocessing["size"] == 64


@pytest.mark.parametrize("name", OPTIONS)
def test_a_setting_that_was_edited_to_nonsense_is_named(folder, name):
    needed = getattr(Settings(), name) is not None or name in RECIPES["from nothing"]
    for value in NONSENSE + [None] * needed:
        edit(folder, **{name: value})
        said = one_line(saved_settings, str(folder))
        assert said.startswith(f"{folder}/settings.json: --{name.replace('_', '-')} is "), said


@pytest.mark.parametrize("pictures, options, epochs", [
    (50_000, [], 5), (5_000, [], 5), (640, [], 20), (300, [], 45), (20, [], 100), (200, ["--batch", "10"], 20),
    (5_000, ["--epochs", "2"], 2), (5_000, ["--freeze-features"], 20), (640, ["--freeze-features"], 40)])
def test_starting_from_weights_has_a_recipe_of_its_own(pictures, options, epochs):
    settings = cam_training.parse(["--init", TINY, *options]).settings
    assert (settings.learning_rate, settings.weight_decay) == (0.01, 1e-4)
    assert settings.features_rate == (1 if settings.freeze_features else 0.1)
    assert cam_training.epochs_of(settings, pictures) == epochs


@pytest.mark.parametrize("changes", [
    {"epochs": 0}, {"epochs": "x"}, {"epochs": True}, {"epochs": 2.5}, {"batch": 2**70}, {"freeze_features": 0},
    {"precision": "auto "}, {"precision": None}, {"freeze_features": True}, {"no_mirror": True}, {"features_rate": 0.5},
    {"data": 3},
    {"label_smoothing": 1}, {"looking": []}, {"looking": {"scale": 3}}, {"network": None}, {"network": []}, {"preprocessing": None}, {"preprocessing": {}},
    {"preprocessing": 3}])
def test_settings_of_a_wrong_kind_or_that_contradict_each_other_are_one_line(folder, changes):
    edit(folder, **changes)
    assert f"{folder}/settings.json: " in one_line(cam_training.parse, ["--resume", str(folder)])


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"3", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b"{}",
                                     b'{"epochs": 3}', b'{"epochs": ' + b"9" * 5000 + b"}", b" " * (2 << 20)])
def test_a_file_of_settings_that_holds_something_else_is_one_line(folder, content):
    (folder / "settings.json").write_bytes(content)
    said = one_line(cam_training.parse, ["--resume", str(folder)])
    assert "no readable settings.json" in said or "not of this version" in said


def test_a_pipe_in_place_of_settings_is_not_waited_for(folder):
    os.unlink(folder / "settings.json")
    os.mkfifo(folder / "settings.json")
    assert "no readable settings.json" in one_line(cam_training.parse, ["--resume", str(folder)])


@pytest.mark.parametrize("network", [{}, {"name": 3}, {"name": "resnet", "depth": None},
                                     {"name": "resnet", "depth": []}, {"name": "resnet", "stem": {}},
                                     {"name": "resnet", "width": "x"},
                                     {"name": "resnet", "output_stride": "x"}, {"name": "resnet", "height": 3},
                                     {"name": "alexnet", "conv5_units": -2}, {"name": "alexnet", "head": [1]}])
def test_a_network_that_makes_no_sense_is_one_line(folder, network):
    edit(folder, network=network)
    one_line(train_loop.build, saved_settings(str(folder)), [Category(None, "cat"), Category(None, "dog")])


def test_a_setting_edited_to_another_good_value_is_refused(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    for split in ("train", "val"):
        class_folders(tmp_path / "pictures" / split, {"cat": 2, "dog": 2})
    run = tmp_path / "run"
    assert train(tmp_path / "pictures", run, epochs=1) == 0
    for changes, said in (({"learning_rate": 0.2}, "settings.json says learning_rate 0.2, and the checkpoint 0.1"),
                          ({"network": {"name": "alexnet", "head": "star"}}, "settings.json says network")):
        before = (run / "settings.json").read_text()
        edit(run, **changes)
        assert said in one_line(train_loop.main, ["--resume", str(run)])
        (run / "settings.json").write_text(before)
    edit(run, precision="auto")  # a good value, but no precision to compute in
    monkeypatch.setattr("cam_training.settings.automatic_precision", lambda name: "bfloat16")
    assert "settings.json says precision bfloat16" in one_line(train_loop.main, ["--resume", str(run)])
    edit(run, precision="float32")
    assert train_loop.main(["--resume", str(run)]) == 0


@pytest.mark.parametrize("arguments, said", [
    (["--epochs", "9" * 30], "--epochs is 999"),
    (["--epochs", "9" * 400], "--epochs is 999"),
    (["--epochs", "9" * 5000], "--epochs"),
    (["--batch", "1180591620717411303424"], "--batch is 1180591620717411303424; it must be at least 1 and less than"),
    (["--seed", "-1"], "--seed is -1"),
    (["--seed", str(2**63)], "--seed is"),
    (["--width", str(2**40)], "--width is"),
    (["--size", "100000"], "--size is 100000"),
    (["--classes", "1"], "--classes is 1"),
    (["--learning-rate", "nan"], "--learning-rate is nan"),
    (["--learning-rate", "1e999"], "--learning-rate is inf"),
    (["--weight-decay", "1e300"], "--weight-decay is 1e\\+300"),
    (["--warm-up", "-1"], "--warm-up is -1"),
    (["--clip", "inf"], "--clip is inf"),
    (["--data", ""], "--data is ''; it must be a name"),
    (["--out", ""], "--out is ''; it must be a name"),
    (["--out", "runs/\udcff"], r"--out is 'runs/\\udcff'; it must be a name in UTF-8"),
    (["--data", "\udcff"], r"--data is '\\udcff'; it must be a name in UTF-8"),
    (["--resume", "\udcff"], r"--resume is '\\udcff'; it must be a name in UTF-8"),
    (["--init", "\udcff"], r"--init is '\\udcff'; it must be a name in UTF-8"),
    (["--resume", "runs/none", "--batch", "x"], "--batch"),
    (["--batch", "3", "--batch", "4"], "--batch is given twice")])
def test_options_that_make_no_sense_are_one_line(arguments, said, tmp_path):
    with pytest.raises(InputError, match=said) as caught:
        cam_training.parse([*arguments, *([] if arguments[0] in ("--out", "--resume") else ["--out", str(tmp_path)])])
    assert "\n" not in str(caught.value)


def test_mistakes_in_options_are_said_without_waiting_for_tensorflow():
    code = ("import sys; from cam_base import InputError; from cam_training import parse\n"
            "for arguments in (['--epochs', '0'], ['--resume', 'none'], ['--no-mirror']):\n"
            "    try: parse(arguments)\n"
            "    except InputError: continue\n"
            "    sys.exit('accepted')\n"
            "print({'tensorflow', 'scipy', 'matplotlib'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
