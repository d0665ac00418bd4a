"""localize.py when things go wrong: nothing is lost, one picture's fault is its own, what is printed is harmless."""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import cam_localization
import localization
import localize
from cam_base import InputError, Preprocessing
from cam_base.growing import Growing, json_bytes
from cam_base.terminal import printable

from coloured import CLASSES, Colours

ROOT = os.path.dirname(os.path.abspath(localize.__file__))


@pytest.fixture
def colours(monkeypatch):
    """localize.main looks with a network in memory."""
    localizer = localization.Localizer(Colours(), CLASSES, Preprocessing(size=32))
    monkeypatch.setattr(localization, "load", lambda *_, **__: localizer)
    return localizer


def save(path, colour=(200, 20, 20)):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new("RGB", (20, 20), colour).save(path, "PNG")
    return str(path)


def entries(out):
    with open(os.path.join(out, "localizations.json"), encoding="utf-8") as file:
        return json.load(file)["pictures"]


# ---------------------------------------------------------------- results on disk

def test_a_call_that_finds_nothing_leaves_earlier_results(colours, tmp_path, capsys):
    good, bad = save(tmp_path / "good.png"), tmp_path / "bad.png"
    bad.write_text("no picture")
    out = str(tmp_path / "out")
    assert localize.main([good, "--out", out]) == 0
    before = entries(out)
    assert localize.main([str(bad), "--out", out]) == 2
    assert entries(out) == before and "bad.png" in capsys.readouterr().err
    assert localize.main([good, str(bad), "--out", out]) == 2
    (read, unread) = entries(out)
    assert read == before[0] and unread["image"] == str(bad) and "bad.png" in unread["error"] and unread["predictions"] == []
    assert "1 of 2 files could not be read" in capsys.readouterr().err


def test_a_list_is_whole_at_every_moment(tmp_path):
    path = tmp_path / "list.json"
    path.write_text("earlier")
    with Growing(path, b"[", b",", b"]") as growing:
        assert path.read_text() == "earlier"
        for number in range(5):
            growing.append(json_bytes({"number": number, "name": "ä\udcff\n"}))
            assert [entry["number"] for entry in json.loads(path.read_text())] == list(range(number + 1))
    assert json.loads(path.read_text())[4]["name"] == "ä\udcff\n"
    assert os.listdir(tmp_path) == ["list.json"]


@pytest.mark.parametrize("room", [0, 1, 30])
def test_a_full_disk_leaves_the_entries_before(tmp_path, monkeypatch, room):
    """Only `room` bytes of the third entry can be written."""
    path = tmp_path / "list.json"
    with Growing(path, b"[", b",", b"]") as growing:
        growing.append(b"[1]", b"[2]")

        class Full:
            def __init__(self, file):
                self.file, self.room = file, room

            def __getattr__(self, name):
                return getattr(self.file, name)

            def write(self, data):
                if len(data) > self.room + 3:
                    if not self.room:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    taken, self.room = self.room, 0
                    return self.file.write(data[:taken])
                return self.file.write(data)

        whole, growing.file = growing.file, Full(growing.file)
        with pytest.raises(OSError, match="No space"):
            growing.append(b'["a long entry"]' * 9)
        growing.file = whole
    assert json.loads(path.read_text()) == [[1], [2]]


def test_an_interrupted_call_keeps_what_it_found(colours, tmp_path, monkeypatch, capsys):
    files = [save(tmp_path / f"{number}.png") for number in range(6)]
    stream = colours.stream

    def interrupted(*arguments, **options):
        for number, result in enumerate(stream(*arguments, **options)):
            if number == 5:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(colours, "stream", interrupted)
    monkeypatch.setattr(localize, "WRITERS", 1)
    with pytest.raises(KeyboardInterrupt):
        localize.main([*files, "--out", str(tmp_path / "out")])
    kept = len(entries(tmp_path / "out"))
    assert 2 <= kept <= 5
    assert f"stopped; {kept} of 6 pictures are in" in capsys.readouterr().err


def test_an_overlay_that_cannot_be_written_is_that_pictures_fault(colours, tmp_path, capsys):
    files = [save(tmp_path / name) for name in ("a.png", "b.png")]
    (tmp_path / "out" / "a.jpg").mkdir(parents=True)
    assert localize.main([*files, "--out", str(tmp_path / "out")]) == 2
    assert len(entries(tmp_path / "out")) == 2 and (tmp_path / "out" / "b.jpg").is_file()
    said = capsys.readouterr().err
    assert "a.jpg could not be written (Is a directory)" in said and "of 1 of 2 pictures not everything could be written" in said


def test_a_picture_that_was_written_over_since_is_not_drawn_on(colours, tmp_path, monkeypatch, capsys):
    """In the call: InputError, unless its pixels were kept. In localize.py: that picture's fault."""
    file = save(tmp_path / "p.png")
    result, kept = colours(file), next(colours.stream([file], keep=lambda pixels: pixels))
    before = kept.panels()
    assert (result.panels() == before).all()
    result = colours(file)
    save(tmp_path / "p.png", (10, 20, 200))
    for draw in (result[0].overlay, result.panels, lambda: result.picture, result._repr_png_):
        with pytest.raises(InputError, match="p.png: was written over since it was looked at"):
            draw()
    assert (kept.panels() == before).all() and result[0].box == kept[0].box

    monkeypatch.setattr("cam_localization.drawing.ENOUGH", 1)  # as a large picture, it is read again to be drawn
    files, write = [save(tmp_path / name) for name in ("a.png", "b.png")], cam_localization.Outputs.write

    def late(self, found, name):
        if found.source == files[0]:
            save(files[0], (10, 20, 200))
        return write(self, found, name)

    monkeypatch.setattr(cam_localization.Outputs, "write", late)
    assert localize.main([*files, "--out", str(tmp_path / "out"), "--overlay", "full", "--report"]) == 2
    said = capsys.readouterr().err
    assert "overlays/1/a.jpg could not be drawn" in said and "of 1 of 2 pictures not everything could be written" in said
    assert os.listdir(tmp_path / "out" / "overlays" / "1") == ["b.jpg"] and len(entries(tmp_path / "out")) == 2


@pytest.mark.parametrize("letter", ["x", "ä", "\udcff"])
def test_long_names_in_two_folders_get_two_overlays(colours, tmp_path, letter):
    name = os.fsdecode(os.fsencode(letter) * (251 // len(os.fsencode(letter)))) + ".png"
    files = [save(os.path.join(tmp_path, folder, name)) for folder in "ab"]
    assert localize.main([*files, "--out", str(tmp_path / "out")]) == 0
    assert len([name for name in os.listdir(tmp_path / "out") if name.endswith(".jpg")]) == 2
    assert len(entries(tmp_path / "out")) == 2


def test_a_place_that_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(localization, "load", lambda *_, **__: pytest.fail("it was loaded"))
    picture = save(tmp_path / "p.png")
    with pytest.raises(InputError, match="p.png.*cannot be written to.*choose another place"):
        localize.main([picture, "--out", picture])
    with pytest.raises(InputError, match="cannot be written to"):
        localize.main([picture, "--out", os.path.join(picture, "below")])


def test_overlays_as_jpeg_and_none(colours, tmp_path):
    picture = save(tmp_path / "p.png")
    assert localize.main([picture, "--out", str(tmp_path / "a"), "--overlay-format", "jpg"]) == 0
    assert Image.open(tmp_path / "a" / "p.jpg").format == "JPEG"
    assert localize.main([picture, "--out", str(tmp_path / "b"), "--overlay", "none"]) == 0
    assert os.listdir(tmp_path / "b") == ["localizations.json"]
    with_strips, without = entries(tmp_path / "a"), entries(tmp_path / "b")
    assert with_strips == [entry | {"overlay": "p.jpg"} for entry in without]
    assert [entry["overlay"] for entry in without] == [None]


# ---------------------------------------------------------------- the terminal

def test_what_would_command_a_terminal_is_written_out():
    assert printable("a\x1b[31mb\x07\r\u202e\udcff\x9b1mé 漢") == "a\\x1b[31mb\\x07\\r\\u202e\\udcff\\x9b1mé 漢"


def test_escape_characters_of_names_do_not_reach_the_terminal(colours, tmp_path, capsys):
    good, bad = save(os.path.join(tmp_path, "\x1b[2Jgood.png")), os.path.join(tmp_path, "\x1b]0;bad.png")
    with open(bad, "w") as file:
        file.write("no picture")
    assert localize.main([good, bad, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err and "\\x1b[2Jgood.png" in printed.out and "\\x1b]0;bad" in printed.err


def command(tmp_path, *arguments, **options):
    return subprocess.Popen([sys.executable, os.path.join(ROOT, "localize.py"), *arguments], cwd=tmp_path, text=True,
                            env=os.environ | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"}, **options)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["{} >&-", "{} 2>&-", "{} >&- 2>&-", "{} | head -1", "{} | true"])
def test_closed_streams_and_names_that_are_not_utf8(tmp_path, shell):
    """The files are written and the exit status is 0, whatever becomes of what is printed."""
    for number in range(3):
        save(os.path.join(tmp_path, "in", os.fsdecode(b"\xff%d.png" % number)))
    ran = subprocess.run(["bash", "-c", "set -o pipefail; " + shell.format(
        shlex.join([sys.executable, os.path.join(ROOT, "localize.py"), "in", "--out", "out"]))], cwd=tmp_path, capture_output=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"})
    assert ran.returncode == 0, ran
    assert b"Traceback" not in ran.stderr and b"Error" not in ran.stderr
    assert len(entries(tmp_path / "out")) == 3 and len(os.listdir(tmp_path / "out")) == 4


@pytest.mark.slow
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_keeps_what_was_found(tmp_path, number, status):
    pixels = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "0.jpg")
    for copy in range(1, 600):
        os.link(tmp_path / "in" / "0.jpg", tmp_path / "in" / f"{copy}.jpg")
    running = command(tmp_path, "in", "--out", "out", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 300
    while not (tmp_path / "out" / "localizations.json").exists():
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == status and "Traceback" not in said
    kept = len(entries(tmp_path / "out"))
    assert 0 < kept < 600 and f"stopped; {kept} of 600 pictures" in said
    assert not [name for name in os.listdir(tmp_path / "out") if name.startswith(".unfinished")]
