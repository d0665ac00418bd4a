"""What only Linux has, taken away: the programs go on as on Windows and on a Mac, as far as Linux can play them."""

import errno
import importlib.util
import io
import json
import ntpath
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import types

import conftest
import numpy as np
import pytest
from small_training import assert_same_end, picture_folders, resume, signal_at, train, use_tiny_network

import weights
from cam_base import InputError, files, terminal
from cam_base.files import locked
from cam_base.growing import Growing, Printed, json_bytes
from cam_data import cls_loc, layouts, walking
from cam_localization import server
from cam_training import rehearsal
from ops.quiet_tensorflow import nothing_said
from weights.download import download

import like_windows

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# In names of files on Windows.
FORBIDDEN = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)', re.I)
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="what is open is read in /proc")


@pytest.fixture
def windows(monkeypatch):
    like_windows.play(monkeypatch)


def python(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


# ---------------------------------------------------------------- files and locks

@needs_proc
def test_a_training_is_stopped_and_gone_on_with_and_a_pattern_is_read_without_a_link(windows, monkeypatch, tmp_path):
    use_tiny_network(monkeypatch)
    data = picture_folders(tmp_path / "pictures")
    assert train(data, tmp_path / "whole", epochs=1) == 0
    with monkeypatch.context() as patch:
        signal_at(patch, 2, signal.SIGINT)
        assert train(data, tmp_path / "run [1]", epochs=1) == 130
    assert resume(tmp_path / "run [1]") == 0
    assert_same_end(tmp_path / "run [1]", tmp_path / "whole")
    ours, theirs = (weights.load(tmp_path / run) for run in ("run [1]/checkpoints/ckpt-2", "whole/weights.npz"))
    names = [name for _, folders, files in os.walk(tmp_path / "whole") for name in (*folders, *files)]
    assert len(names) > 6 and not any(map(FORBIDDEN.search, names)), names
    assert ours.classes == theirs.classes and sorted(ours.tensors) == sorted(theirs.tensors)


@needs_proc
@pytest.mark.parametrize("ends", [None, KeyError])
def test_a_lock_leaves_no_file_and_holds_off_others(windows, tmp_path, ends):
    path = tmp_path / "new" / ".lock"
    try:
        with locked(path, "taken", stays=False):
            with pytest.raises(InputError, match="^taken$"), locked(path, "taken", stays=False):
                pass
            assert path.exists()
            with pytest.raises(InputError, match="^taken$"), locked(path, "taken"):
                pass
            if ends:
                raise ends
    except KeyError:
        pass
    assert os.listdir(tmp_path) == []


@needs_proc
def test_files_that_grow_are_renamed_when_they_are_closed(windows, tmp_path):
    with Growing(tmp_path / "list", b"[", b",", b"]") as file:
        file.append(b"1")
        file.append(b"2", b"3")
    assert (tmp_path / "list").read_bytes() == b"[1,2,3]"


def wrong(path):
    """A reader that gives up with the file in memory."""
    contents = np.memmap(path, np.uint8, "r")
    raise InputError(f"it begins with {contents[0]}")


@needs_proc
def test_a_download_that_is_wrong_is_removed_though_its_reader_held_it(windows, tmp_path):
    (tmp_path / "source").write_bytes(b"abc")
    with pytest.raises(InputError, match="is wrong and was thrown away: it begins with 97"):
        download((tmp_path / "source").as_uri(), str(tmp_path / "target"), None, wrong)
    assert os.listdir(tmp_path) == ["source"]


def test_a_download_that_another_process_has_just_begun_is_left_to_it(tmp_path):
    (tmp_path / "source").write_bytes(b"abc")
    with open(tmp_path / "target.part", "wb") as part:
        files.lock(part, "not reached")
        with pytest.raises(InputError, match="is being fetched by another process"):
            download((tmp_path / "source").as_uri(), str(tmp_path / "target"), None, lambda path: None)
        assert (tmp_path / "target.part").exists()


def test_a_place_on_a_drive_that_is_not_there_ends(monkeypatch):
    """Z: of which even the root is missing."""
    monkeypatch.setattr(files, "os", types.SimpleNamespace(path=ntpath))
    monkeypatch.setattr(ntpath, "lexists", lambda path: False)
    monkeypatch.setattr(ntpath, "abspath", lambda path: path)
    assert files._missing("Z:\\out\\maps") == ["Z:\\out\\maps", "Z:\\out"]


# ---------------------------------------------------------------- names

def test_names_of_pictures_have_forward_slashes_and_fall_to_the_same_split(monkeypatch, tmp_path):
    """They are compared between systems, and a checksum of them says which pictures are held out."""
    windows_os = types.SimpleNamespace(path=ntpath, sep="\\")
    monkeypatch.setattr(walking, "os", windows_os)
    monkeypatch.setattr(layouts, "os", windows_os)
    monkeypatch.setattr(ntpath, "abspath", ntpath.normpath)  # of a drive, whose present folder is not asked for
    files = ["C:\\data\\cat\\1.jpg", "C:\\data\\cat\\black\\2.jpg"]
    assert layouts._below("C:\\data", files) == layouts._below("C:/data", files) == ["cat/1.jpg", "cat/black/2.jpg"]
    monkeypatch.setattr(walking, "walk_pictures", lambda folder: [(f"{folder}\\val", ["a.JPEG"])])
    monkeypatch.setattr(ntpath, "isdir", lambda path: True)
    assert walking.pictures_below("C:\\data") == {"val/a": "C:\\data\\val\\a.JPEG"}


def test_names_of_ilsvrcs_training_pictures_have_forward_slashes(monkeypatch):
    monkeypatch.setattr(walking, "os", types.SimpleNamespace(path=ntpath, sep="\\"))
    monkeypatch.setattr(cls_loc, "os", types.SimpleNamespace(path=ntpath, sep="\\"))
    monkeypatch.setattr(cls_loc, "walk_pictures", lambda folder: [(folder, ["1.JPEG"])])
    assert cls_loc._training("C:\\train", ["n01440764"]).ids == ["n01440764/1.JPEG"]


def test_every_system_can_hold_the_files_of_the_project():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("this is no clone")
    paths = listed.stdout.decode().split("\0")[:-1]
    assert len(paths) > 100 and len({path.casefold() for path in paths}) == len(paths)
    for path in paths:
        for name in path.split("/"):
            assert not FORBIDDEN.search(name) and name.isascii(), path


# ---------------------------------------------------------------- signals, streams and shells

SIGNALLED = """
import signal, sys
{change}
from cam_base import terminal
from cam_training import StopAfterStep
terminal.run_program("x", lambda _: signal.raise_signal(signal.SIGUSR1) if {sent} else 0)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="SIGUSR1 plays Ctrl-Break")
@pytest.mark.parametrize("change, sent, status", [
    ("signal.SIGBREAK = signal.SIGUSR1", True, 143), ("del signal.SIGTERM; signal.SIGBREAK = signal.SIGUSR1", True, 143),
    ("del signal.SIGTERM", False, 0)])
def test_ctrl_break_is_what_sigterm_is_and_neither_is_needed(change, sent, status):
    done = python(SIGNALLED.format(change=change, sent=sent))
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="SIGUSR1 plays Ctrl-Break")
def test_ctrl_break_stops_a_training_after_its_step():
    done = python("import signal; signal.SIGBREAK = signal.SIGUSR1\nfrom cam_training import StopAfterStep\n"
                  "with StopAfterStep() as stop:\n    signal.raise_signal(signal.SIGBREAK)\n    print(stop.status)")
    assert done.stdout == "143\n", done.stderr


class Pipe(io.StringIO):
    """Nobody reads it: what Windows says is EINVAL."""

    def write(self, text):
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_pipe_that_nobody_reads_is_no_mistake(monkeypatch):
    handed = []
    monkeypatch.setattr(os, "dup2", lambda *handles: handed.append(handles))
    with pytest.raises(OSError, match="Invalid argument"):
        terminal.Stream(Pipe(), 1).write("x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        windows = again(terminal)
    windows.Stream(Pipe(), 1).write("x")
    assert [number for _, number in handed] == [1]


def again(module):
    """A second copy of a module, made as the system is now."""
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_again", module.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


def test_a_standard_error_that_is_closed_hinders_no_import():
    """`nothing_said` is around that of TensorFlow; pythonw.exe has none."""
    kept = os.dup(2)
    try:
        os.close(2)
        with nothing_said():
            pass
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8", "utf-16"])
def test_json_on_standard_output_is_json_whatever_its_encoding(encoding):
    names = ["Zürich.jpg", "猫.jpg", "🐈\\ü\x81.jpg"]
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with Printed(stream, b"[", b",", b"]") as printed:
        for name in names:
            printed.append(json_bytes(name))
    stream.flush()
    assert json.loads(stream.buffer.getvalue().decode(encoding)) == names
    assert ("\\u732b" in stream.buffer.getvalue().decode(encoding)) == (encoding != "utf-8")


@pytest.mark.parametrize("system, line", [
    ("posix", "python train_loop.py --resume 'my runs/a'"), ("nt", 'python train_loop.py --resume "my runs/a"')])
def test_a_command_to_copy_is_quoted_as_the_shell_takes_it(monkeypatch, system, line):
    monkeypatch.setattr(terminal, "os", types.SimpleNamespace(name=system))
    assert terminal.command_line("python", "train_loop.py", "--resume", "my runs/a") == line
    assert terminal.command_line("C:\\runs\\a") == ("C:\\runs\\a" if system == "nt" else "'C:\\runs\\a'")


def test_two_servers_never_have_one_port(monkeypatch):
    """On Windows SO_REUSEADDR would let them."""
    assert server.Server.allow_reuse_address == (not hasattr(socket, "SO_EXCLUSIVEADDRUSE"))
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    assert not again(server).Server.allow_reuse_address


def test_where_the_system_does_not_say_it_no_memory_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert rehearsal.peak_memory() == 0


# ---------------------------------------------------------------- the tests' own line, and commands without make

def test_features_are_those_that_linux_lists(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: avx2 avx512f amx_tile amx_bf16\nbugs\t: x\n\nflags\t\t: avx512_bf16\n")
    assert conftest.cpu_features(tmp_path / "cpuinfo") == "AVX2, AVX-512, AMX"
    (tmp_path / "cpuinfo").write_text("flags : sse avx\n")
    assert conftest.cpu_features(tmp_path / "cpuinfo") == "none of AVX2, AVX-512, AVX512_BF16, AMX"


def test_where_there_is_no_such_list_the_processor_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("platform.processor", lambda: "Intel64 Family 6")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert conftest.cpu_features(tmp_path / "cpuinfo") == "Intel64 Family 6"
    (tmp_path / "cpuinfo").write_text("Features : asimd bf16\n")  # of an ARM
    monkeypatch.setattr("platform.processor", lambda: "")
    assert conftest.cpu_features(tmp_path / "cpuinfo") == "arm64"


PORT = """
import os, sys, types
def test_x():
    enabled = os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
    sys.modules["tensorflow.python.util._pywrap_util_port"] = types.SimpleNamespace(IsMklEnabled=lambda: enabled)
def test_y(): test_x()
"""


@pytest.mark.parametrize("setting, said", [("0", "off (TF_ENABLE_ONEDNN_OPTS=0)"), (None, "on (as TensorFlow chose)")])
def test_a_run_of_tests_says_what_it_ran_with(tmp_path, setting, said):
    (tmp_path / "test_port.py").write_text(PORT)
    shutil.copy(os.path.join(ROOT, "tests", "conftest.py"), tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS" and not name.startswith("PYTEST_")}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", str(tmp_path)], cwd=tmp_path,
                          env=environment | ({"TF_ENABLE_ONEDNN_OPTS": setting} if setting else {}), capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if "oneDNN" in line]
    assert lines == [f"CPU: {conftest.cpu_features()}; oneDNN: {said}"], done.stdout


def made_by(target):
    """The commands of a target of the Makefile and of those it needs, as one types them in an activated environment."""
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as file:
        text = file.read()
    needed, recipe = re.search(rf"^{re.escape(target)}:(.*)\n((?:\t.*\n)*)", text, re.M).groups()
    commands = [command for other in needed.split() if other.startswith(".venv/") for command in made_by(other)]
    for line in recipe.splitlines():
        line = line.strip().replace("$(PIP)", "$(PY) -m pip install").replace("$(PY)", "python").replace("$(PYTHON)", "python3")
        if not line.startswith(("touch", "python3 -c")):
            commands.append(line)
    return commands


def test_the_readmes_commands_are_those_of_the_makefile():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        block = re.search(r"Without `make`.*?```\n(.*?)```", file.read(), re.S)[1].splitlines()
    assert [line for line in block if line != ". .venv/bin/activate"] == list(dict.fromkeys(
        made_by("demo") + made_by("test") + made_by("test-slow")))
    assert "-m venv .venv" in block[0] and block[1] == ". .venv/bin/activate"


def test_what_no_other_system_has_is_not_asked_of_it(monkeypatch):
    """Tests that send signals, make pipes, or read /proc are passed over on Windows."""
    class Item(types.SimpleNamespace):
        def add_marker(self, mark):
            self.skipped = mark.kwargs["reason"]

    def makes_a_pipe():
        os.mkfifo("x")

    def reads_a_device():
        open("/dev/zero", "rb").close()

    items = [Item(function=function, path=types.SimpleNamespace(name="x"))
             for function in (makes_a_pipe, reads_a_device, test_two_servers_never_have_one_port)]
    conftest.pytest_collection_modifyitems(items)
    assert not any(hasattr(item, "skipped") for item in items)
    monkeypatch.setattr(conftest, "os", types.SimpleNamespace(name="nt"))
    conftest.pytest_collection_modifyitems(items)
    assert [getattr(item, "skipped", None) for item in items] == ["Windows has no mkfifo", "Windows has no /dev/zero", None]
