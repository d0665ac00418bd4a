"""Fetching against a server on the loopback address that does everything that servers do wrong."""

import hashlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from test_weights_hostile import NARROW

import cam_base
import weights
from weights import download, formats, published, toronto
from weights.catalogue import CATALOGUE, Published

import python2_pickle

fcntl, resource = (pytest.importorskip(name, reason="Windows has none") for name in ("fcntl", "resource"))
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONTENT = np.random.default_rng(0).bytes(400_000)
OLD = b"what was here before"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.content in the way that server.manner says; notes each request's path and Range."""

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        self.server.seen.append(("CONNECT", self.path))
        self.send_error(502, "no way out")

    def do_GET(self):
        manner, content = self.server.manner, self.server.content
        self.server.seen.append((self.path, self.headers.get("Range")))
        if manner == "missing":
            return self.send_error(404)
        if manner == "redirect" and not self.path.startswith("/elsewhere"):
            self.send_response(302)
            self.send_header("Location", "/elsewhere" + self.path)
            return self.end_headers()
        first = 0
        if self.headers.get("Range") and manner != "no ranges":
            first = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                return self.send_error(416)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if manner != "no length":
            self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.send_body(content[first:], manner)

    def send_body(self, body, manner):
        if manner == "breaks off":
            body = body[:len(body) // 2]
        piece = 20_000 if manner == "slow" else len(body)
        for place in range(0, len(body), piece):
            self.wfile.write(body[place:place + piece])
            time.sleep(0.02 if manner == "slow" else 0)
        if manner == "stalls":
            self.server.released.wait(10)


@pytest.fixture
def server(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.manner, server.content, server.seen, server.released = "well", CONTENT, [], threading.Event()
        server.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


@pytest.fixture
def target(tmp_path):
    """A place where an older file already is."""
    path = tmp_path / "weights.bin"
    path.write_bytes(OLD)
    return path


def is_content(path):
    with open(path, "rb") as file:
        if file.read() != CONTENT:
            raise cam_base.InputError("its hash is another")


def bring(server, target, size=len(CONTENT)):
    download.download(f"{server.address}/weights.bin", str(target), size, is_content)


def refused(server, target, message, **options):
    """That it is refused with this message, in one line, and the old file is intact."""
    with pytest.raises(cam_base.InputError, match=message) as refusal:
        bring(server, target, **options)
    assert "\n" not in str(refusal.value)
    assert target.read_bytes() == OLD


def only_file(target):
    return os.listdir(target.parent) == [target.name]


# ---------------------------------------------------------------- downloads

@pytest.mark.parametrize("manner", ["well", "slow", "redirect", "no length", "no ranges"])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_whole_file_takes_the_place_of_the_old_one(manner, size, server, target):
    server.manner = manner
    bring(server, target, size)
    assert target.read_bytes() == CONTENT and only_file(target)


def test_what_broke_off_is_resumed_where_it_broke(server, target):
    server.manner = "breaks off"
    refused(server, target, "200000 of 400000 bytes had come.*goes on from there")
    refused(server, target, "300000 of 400000")
    server.manner = "well"
    bring(server, target)
    assert [given for _, given in server.seen] == [None, "bytes=200000-", "bytes=300000-"]
    assert target.read_bytes() == CONTENT and only_file(target)


def test_a_server_without_ranges_begins_again(server, target):
    server.manner = "breaks off"
    refused(server, target, "200000 of 400000")
    server.manner = "no ranges"
    bring(server, target)
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away(server, target):
    part = target.with_name("weights.bin.part")
    part.write_bytes(bytes(len(CONTENT) + 10))  # longer than the file: the server answers 416
    refused(server, target, "wrong and was thrown away")
    assert only_file(target)
    part.write_bytes(bytes(1000))
    refused(server, target, "wrong and was thrown away")
    assert only_file(target)
    bring(server, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_hash_keeps_the_old_file(server, target):
    server.content = CONTENT[:-1] + b"?"
    refused(server, target, "its hash is another")
    assert only_file(target)


@pytest.mark.parametrize("manner", ["well", "no length"])
def test_another_size_keeps_the_old_file(manner, server, target):
    server.manner, server.content = manner, CONTENT + b"more"
    refused(server, target, "not the 400000 of the published file")


def test_a_missing_file_keeps_the_old_one(server, target):
    server.manner = "missing"
    refused(server, target, "answers 404")
    assert only_file(target)


def test_a_server_that_falls_silent_is_given_up(server, target, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.3)
    server.manner, server.content = "stalls", CONTENT[:1000]
    monkeypatch.setattr(Handler, "send_body", lambda self, body, manner: (
        self.wfile.write(body[:500]), self.wfile.flush(), self.server.released.wait(10)))
    refused(server, target, "broke.*timed out", size=None)


@pytest.fixture
def nobody(server):
    """A server's address on which nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server.address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        yield server


def test_a_closed_door_keeps_the_old_file(nobody, target):
    refused(nobody, target, "could not reach http://127.0.0.1.*Connection refused")
    assert only_file(target)


def test_a_quota_that_is_reached_keeps_the_old_file(server, target):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        refused(server, target, "could not be written: File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert only_file(target)


@pytest.mark.parametrize("manner, message", [("well", "0 MB are free"), ("no length", "No space left")])
def test_a_full_disk_keeps_the_old_file(manner, message, server, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root; the quota's test stands for it")
    try:
        server.manner, target = manner, disk / "weights.bin"
        target.write_bytes(OLD)
        refused(server, target, message, size=None)
        assert only_file(target)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_two_processes_do_not_write_the_same_part(server, target):
    with open(f"{target}.part", "wb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        refused(server, target, "being fetched by another process")
    bring(server, target)


def test_other_schemes_are_refused(target):
    with pytest.raises(cam_base.InputError, match="http:, https: or file:"):
        download.download("ftp://example.org/x", str(target), None, is_content)


def test_proxies_of_the_environment_are_used(server, target, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", server.address)
    with pytest.raises(cam_base.InputError, match="no way out"):
        download.download("https://weights.invalid/x", str(target), None, is_content)
    assert server.seen == [("CONNECT", "weights.invalid:443")]


# ---------------------------------------------------------------- published weights by name

@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CAM_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.delenv("CAM_WEIGHTS_MIRROR", raising=False)
    return tmp_path / "cache"


def publish(monkeypatch, address, digest, size=len(CONTENT)):
    monkeypatch.setitem(CATALOGUE, "mine", Published("mine", address, 0.4, size, digest))


def test_first_use_says_how_large_and_where_and_the_second_uses_what_is_there(
        server, cache, monkeypatch, capfd):
    publish(monkeypatch, f"{server.address}/weights.bin", hashlib.md5(CONTENT).hexdigest())
    path = weights.resolve("mine")
    assert path == str(cache / "weights.bin") and (cache / "weights.bin").read_bytes() == CONTENT
    said = capfd.readouterr().err
    assert "0.4 MB" in said and f"{server.address}/weights.bin" in said and path in said
    assert weights.resolve("mine") == path and len(server.seen) == 1
    assert capfd.readouterr().err == ""


def test_a_spoilt_file_in_the_cache_is_fetched_again(server, cache, monkeypatch):
    publish(monkeypatch, f"{server.address}/weights.bin", hashlib.sha256(CONTENT).hexdigest()[:8])
    path = weights.fetch("mine")
    with open(path, "r+b") as file:
        file.write(b"spoilt")
    server.content = CONTENT[::-1]
    with pytest.raises(cam_base.InputError, match="SHA-256"):
        weights.fetch("mine")
    assert open(path, "rb").read(6) == b"spoilt"  # kept: the new one was no better
    server.content = CONTENT
    is_content(weights.fetch("mine"))


def test_without_a_network_the_address_and_the_place_are_said(nobody, cache, monkeypatch):
    address = f"{nobody.address}/weights.bin"
    publish(monkeypatch, address, hashlib.md5(CONTENT).hexdigest())
    with pytest.raises(cam_base.InputError, match=f"by hand: put {address} at {cache / 'weights.bin'}$") as refusal:
        weights.resolve("mine")
    assert "\n" not in str(refusal.value)


def test_a_mirror_by_argument_or_environment_may_be_a_folder(cache, monkeypatch, tmp_path):
    publish(monkeypatch, "https://weights.invalid/weights.bin", hashlib.md5(CONTENT).hexdigest())
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "weights.bin").write_bytes(CONTENT)
    is_content(weights.fetch("mine", mirror=mirror.as_uri()))
    os.unlink(cache / "weights.bin")
    monkeypatch.setenv("CAM_WEIGHTS_MIRROR", mirror.as_uri() + "/")
    is_content(weights.fetch("mine"))
    os.unlink(cache / "weights.bin")
    os.unlink(mirror / "weights.bin")
    with pytest.raises(cam_base.InputError, match="No such file"):
        weights.fetch("mine")


def test_without_a_published_hash_the_first_use_is_recorded(server, cache, monkeypatch, tmp_path):
    """The Toronto file: size and structure are checked, and from then on its SHA-256."""
    monkeypatch.setattr(toronto, "KERNELS", NARROW)
    rng = np.random.default_rng(0)
    layers = {name: (rng.random(shape, np.float32), rng.random(shape[3], np.float32)) for name, shape in NARROW.items()}
    python2_pickle.write(tmp_path / "x.npy", layers)
    content = (tmp_path / "x.npy").read_bytes()
    publish(monkeypatch, f"{server.address}/x.npy", "", len(content))

    server.content = content[:100] + bytes(len(content) - 100)  # the right size, but no AlexNet
    with pytest.raises(cam_base.InputError, match="thrown away"):
        weights.fetch("mine")
    assert os.listdir(cache) == []
    server.content = content
    path = weights.fetch("mine")
    assert (cache / "x.npy.sha256").read_text().strip() == hashlib.sha256(content).hexdigest()
    assert weights.load(path).network["name"] == "alexnet"
    with open(path, "r+b") as file:
        file.seek(-40, os.SEEK_END)
        file.write(b"\0\0")
    with pytest.raises(cam_base.InputError, match="not the file that was used first"):
        weights.load(path)
    assert weights.load(weights.fetch("mine")).network["name"] == "alexnet"  # fetched again


def test_a_record_that_cannot_be_written(server, cache, monkeypatch, capsys):
    """A new file is refused without it; one that lies in a folder that may only be read is used."""
    publish(monkeypatch, f"{server.address}/x.npy", "", len(CONTENT))
    monkeypatch.setattr(formats, "load", lambda path: None)

    def full(path):
        raise OSError(28, "No space left on device", path)

    with monkeypatch.context() as patch:
        patch.setattr(published, "replacing", full)
        with pytest.raises(cam_base.InputError, match="x.npy could not be written: No space left"):
            weights.fetch("mine")
        assert os.listdir(cache) == ["x.npy.part"]
        (cache / "x.npy").write_bytes(CONTENT)
        is_content(weights.fetch("mine"))
        assert "nothing will tell" in capsys.readouterr().err
    assert not (cache / "x.npy.sha256").exists()


def test_a_folder_in_the_place_of_the_file(server, cache, monkeypatch):
    publish(monkeypatch, f"{server.address}/x.npy", "", len(CONTENT))
    (cache / "x.npy").mkdir(parents=True)
    with pytest.raises(cam_base.InputError, match="x.npy is in the way: it is not a file"):
        weights.fetch("mine")


def test_names_that_are_not_known(cache):
    with pytest.raises(cam_base.InputError, match="did you mean resnet50-keras"):
        weights.resolve("resnet50-kras")
    with pytest.raises(cam_base.InputError, match="no such weights file"):
        weights.resolve("nothing/like/it.npz")
    with pytest.raises(cam_base.InputError, match="known are efficientnet-lite0, .*, alexnet-toronto, resnet50-keras"):
        weights.fetch("nothing")


def test_the_cache_follows_the_environment(monkeypatch):
    monkeypatch.delenv("CAM_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert published.folder() == "/somewhere/cam-weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert published.folder() == os.path.expanduser("~/.cache/cam-weights")


# ---------------------------------------------------------------- the command

def command(cache, *arguments, **environment):
    # Started in the background of a script, this process may ignore Ctrl-C, and its children would.
    return subprocess.Popen([sys.executable, "-m", "weights", *arguments], text=True, cwd=ROOT,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=os.environ | {"CAM_WEIGHTS": str(cache)} | environment)


def test_fetch_fails_with_one_line_and_status_2(server, cache):
    server.manner = "missing"
    run = command(cache, "fetch", "resnet50-keras", "--mirror", server.address)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 2 and "Traceback" not in errors
    assert errors.splitlines()[-1].startswith(f"python -m weights: {server.address}/resnet50_weights_tf")
    assert len(errors.splitlines()) == 2  # what is fetched, and why it was not


def test_ctrl_c_keeps_what_has_come_and_ends_with_130(server, cache):
    server.manner, server.content = "slow", bytes(94_765_736)
    run = command(cache, "fetch", "resnet50-keras-notop", CAM_WEIGHTS_MIRROR=server.address)
    part = cache / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5.part"
    patience = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size) and time.monotonic() < patience:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 130 and "Traceback" not in errors and "resumes a download" in errors
    assert os.listdir(cache) == [part.name] and part.stat().st_size > 0
