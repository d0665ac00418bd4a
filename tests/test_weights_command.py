"""`python -m weights`, as a user types it."""

import json
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
from test_weights_formats import FIXTURES, assert_is_alexnet

import nets
import weights
from cam_base import InputError
from weights.__main__ import main
from weights.catalogue import CATALOGUE

import python2_pickle

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GENUINE = os.path.join(FIXTURES, "narrow_resnet26.pth")


def run(*arguments, **environment):
    return subprocess.run([sys.executable, "-m", "weights", *map(str, arguments)], capture_output=True, text=True,
                          cwd=ROOT, env=os.environ | {"COLUMNS": "200"} | environment)


@pytest.fixture
def succeeds(capsys, monkeypatch):
    """What a command prints; in this process, as none of its imports is the point."""
    monkeypatch.setenv("COLUMNS", "200")

    def printed(*arguments):
        main([*map(str, arguments)])
        return capsys.readouterr().out
    return printed


def fails(*arguments):
    """The one line on stderr."""
    done = run(*arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    line, = done.stderr.splitlines()
    return line


def test_list_names_all_published_weights_and_the_place(tmp_path, succeeds, monkeypatch):
    monkeypatch.setenv("CAM_WEIGHTS", str(tmp_path))
    listed = succeeds("list")
    for name, published in CATALOGUE.items():
        assert name in listed and published.file in listed
    assert str(tmp_path) in listed


def test_no_name_of_the_list_is_cut_where_it_goes_to_a_pipe():
    listed = run("list", COLUMNS="40").stdout
    assert all(f" {name} " in listed and published.file in listed for name, published in CATALOGUE.items()) and "…" not in listed


@pytest.mark.parametrize("name", ["x.onnx", "x.tflite", "x.pth", "x.h5", "x"])
def test_a_name_of_another_format_is_not_written(tmp_path, name):
    """An .npz of another ending was written, which no other program reads; nothing is fetched or read for it, either."""
    with pytest.raises(InputError, match=f"{name}: weights are written as .npz alone.*call it .*x.npz$"):
        main(["convert", "resnet50-keras", "--out", str(tmp_path / name)])
    with pytest.raises(InputError, match="npz alone"):
        weights.save(str(tmp_path / name), weights.load(GENUINE))
    assert os.listdir(tmp_path) == []


def test_inspect_says_all_that_a_file_holds(succeeds):
    said = succeeds("inspect", GENUINE)
    assert said.startswith("file ") and len(said.splitlines()) == 9 and "stages/3/1" not in said
    with_tensors = succeeds("inspect", GENUINE, "--tensors")
    assert with_tensors.startswith(said) and "stages/3/1/conv3/kernel" in with_tensors and "1 x 1 x 32 x 128" in with_tensors
    for fact in ("PyTorch .pth", "depth=26", "in 147 tensors", "7: class 0",
                 "centre_crop=256", "mean=(0.485, 0.456, 0.406)", weights.formats.file_hash(GENUINE, "sha256")):
        assert fact in said, fact
    parameters = sum(tensor.size for name, tensor in weights.load(GENUINE).tensors.items()
                     if name.split("/")[-1] not in ("mean", "variance"))
    assert f"{parameters:,}, and" in said


def test_convert_recognises_the_format_by_content(tmp_path, succeeds):
    with open(GENUINE, "rb") as genuine:
        (tmp_path / "misnamed.h5").write_bytes(genuine.read())
    assert "147 tensors" in succeeds("convert", tmp_path / "misnamed.h5", "--out", tmp_path / "x.npz")
    loaded = weights.load(tmp_path / "x.npz")
    assert loaded.tensors["stem/kernel"].dtype == np.float32
    assert loaded.provenance["format"] == "PyTorch .pth" and loaded.provenance["file"] == "misnamed.h5"
    json.dumps(loaded.provenance)


def test_mistakes_are_one_line(tmp_path):
    assert "no such weights file; did you mean resnet50-keras?" in fails("inspect", "resnet-50-keras")
    assert "no published weights are called x" in fails("fetch", "x")
    (tmp_path / "x.npz").write_bytes(b"PK\3\4 and no more")
    assert "x.npz is damaged" in fails("inspect", tmp_path / "x.npz")
    main(["convert", GENUINE, "--out", str(tmp_path / "own.npz")])
    assert "give --out another name" in fails("convert", tmp_path / "own.npz", "--out", tmp_path / "own.npz")
    assert "could not be written" in fails("convert", GENUINE, "--out", f"{GENUINE}/x.npz")


@pytest.mark.slow
def test_checkpoints_are_inspected_and_converted(tmp_path, capsys):
    import tensorflow as tf

    loaded, trainer = weights.load(GENUINE), tf.Module()
    trainer.net, trainer.meta = nets.build(loaded.network, len(loaded.classes)), tf.Variable(weights.describe(loaded))
    prefix = tf.train.Checkpoint(trainer=trainer).save(str(tmp_path / "ckpt"))
    done = run("inspect", prefix)
    assert done.returncode == 0 and done.stderr == "" and "tf.train.Checkpoint" in done.stdout
    main(["inspect", f"{prefix}.index"])
    assert "tf.train.Checkpoint" in capsys.readouterr().out
    for path in (prefix, f"{prefix}.index"):  # the second time over the first one's file
        main(["convert", path, "--out", str(tmp_path / "x.npz")])
    assert weights.load(tmp_path / "x.npz").network == loaded.network


@pytest.mark.slow
def test_toronto_file_of_full_size_is_converted_in_seconds_and_little_memory(tmp_path):
    """The published file has 243,861,814 bytes; what is kept has 9.3 million."""
    layers = python2_pickle.alexnet(np.random.default_rng(0), ("conv1", "conv2", "conv3", "conv4", "conv5"))
    layers |= {name: (np.zeros(shape, np.float32), np.zeros(shape[-1], np.float32))
               for name, shape in python2_pickle.ALEXNET.items() if name.startswith("fc")}
    path, out = tmp_path / "bvlc_alexnet.npy", tmp_path / "alexnet.npz"
    python2_pickle.write(path, layers)
    assert path.stat().st_size == python2_pickle.PUBLISHED_SIZE == CATALOGUE["alexnet-toronto"].size
    # From a process in between: a child's peak begins with the memory of the one it was forked from.
    code = ("import resource, subprocess, sys; subprocess.run([sys.executable, '-m', 'weights', *sys.argv[1:]], "
            "check=True); used = resource.getrusage(resource.RUSAGE_CHILDREN); "
            "print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)")
    done = subprocess.run([sys.executable, "-c", code, "convert", path, "--out", out],
                          capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, megabytes = map(float, done.stdout.split()[-2:])  # of processor time
    print(f"{seconds:.1f} s, {megabytes:.0f} MB of memory, {out.stat().st_size / 1e6:.1f} MB written")
    assert seconds < 10 and megabytes < 400
    assert out.stat().st_size < 10e6
    assert_is_alexnet(weights.load(out), layers)
    path.unlink()


def test_names_that_are_not_utf_8_or_command_the_terminal_are_written_out(tmp_path):
    for name, shown in ((b"caf\xe9.npz", "caf\\udce9.npz"), (b"\x1b[31mred.npz", "\\x1b[31mred.npz")):
        out = os.path.join(os.fsencode(tmp_path), name)
        for arguments in (["convert", GENUINE, "--out", out], ["inspect", out]):
            done = subprocess.run([sys.executable, "-m", "weights", *arguments], capture_output=True, cwd=ROOT,
                                  env=os.environ | {"LC_ALL": "C.UTF-8", "COLUMNS": "200"})
            assert done.returncode == 0 and shown in done.stdout.decode() and b"\x1b" not in done.stdout + done.stderr


def test_a_closed_output_is_no_mistake(tmp_path):
    line = shlex.join([sys.executable, "-m", "weights", "convert", GENUINE, "--out", f"{tmp_path}/x.npz"])
    done = subprocess.run(f"{line} >&- 2>&-", shell=True, cwd=ROOT)
    assert done.returncode == 0 and weights.load(tmp_path / "x.npz").network["depth"] == 26


def test_output_that_is_cut_short_is_no_mistake():
    done = subprocess.run(f"{shlex.join([sys.executable, '-m', 'weights', 'inspect', GENUINE])} | head -1", shell=True,
                          capture_output=True, text=True, cwd=ROOT)
    assert GENUINE in done.stdout and done.stdout.count("\n") == 1 and done.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["convert", "x"], ["nonsense"]])
def test_wrong_arguments_are_named_in_one_line(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and done.stderr.startswith("python -m weights: ") and done.stderr.count("\n") == 1
