"""Files that are written whole, by several threads at once."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from cam_base import InputError, files
from cam_base.files import lock, replacing
from cam_base.growing import Growing


def test_what_threads_write_has_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)

    def write(number):
        with replacing(tmp_path / str(number) / "file") as file:
            file.write(b"x")
        with Growing(tmp_path / str(number) / "grown") as grown:
            grown.append(b"x")

    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(write, range(200)))
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
             for folder, folders, files in os.walk(tmp_path) for name in (*files, *folders)}
    assert modes == {0o640, 0o750}


def test_a_growing_file_is_renamed_when_it_is_closed(tmp_path, monkeypatch):
    """As Windows wants it."""
    replace, closed = os.replace, []

    def noted(old, new):
        closed.append(not any(os.path.realpath(f"/proc/self/fd/{handle}") == old for handle in os.listdir("/proc/self/fd")))
        replace(old, new)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system does not list open files in /proc")
    monkeypatch.setattr(os, "replace", noted)
    with Growing(tmp_path / "list", b"[", b",", b"]") as file:
        file.append(b"1")
        file.append(b"2", b"3")
    assert closed == [True] and (tmp_path / "list").read_bytes() == b"[1,2,3]"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOLCK, errno.ENOTSUP])
def test_only_a_lock_that_is_held_is_said_to_be(tmp_path, monkeypatch, capsys, number):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with open(tmp_path / "lock", "wb") as file:
        if number == errno.EAGAIN:
            with pytest.raises(InputError, match="another process holds it"):
                lock(file, "another process holds it")
        else:
            lock(file, "another process holds it")
            assert "lock: this file system has no locks" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_is_said_with_the_files_name(tmp_path):
    with pytest.raises(OSError, match="No space left on device: .*x.json") as caught:
        with replacing(tmp_path / "x.json") as file:
            file.flush()
            os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())
            file.write(b"x" * 100_000)
    assert caught.value.filename == str(tmp_path / "x.json") and os.listdir(tmp_path) == []


def test_a_lock_that_was_taken_away_between_opening_and_holding_is_none(tmp_path, monkeypatch):
    """Two processes could hold two files of one name otherwise."""
    path, lock, calls = str(tmp_path / "new" / "lock"), files.lock, []

    def late(file, taken):
        if not calls:
            os.unlink(path)
        calls.append(1)
        lock(file, taken)

    monkeypatch.setattr(files, "lock", late)
    with files.locked(path, "taken", stays=False):
        assert os.path.exists(path) and len(calls) == 2
        with pytest.raises(InputError, match="^taken$"):
            with files.locked(path, "taken", stays=False):
                pass
        assert os.path.exists(path)
    assert os.listdir(tmp_path) == []
