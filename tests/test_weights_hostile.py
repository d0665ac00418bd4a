"""Files made to harm, or just broken: one clear line, nothing executed, nothing left behind, little memory."""

import io
import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import time
import zipfile

import h5py
import numpy as np
import old_torch
import pytest
from test_weights_formats import FIXTURES, refusal, write_keras_h5

import cam_base
import weights
from weights import layout, state_dict, torch_file, torch_legacy, torchvision, toronto

import python2_pickle

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NARROW = {"conv1": (3, 3, 3, 4), "conv2": (3, 3, 2, 8), "conv3": (1, 1, 8, 4), "conv4": (1, 1, 2, 4),
          "conv5": (1, 1, 2, 6)}


@pytest.fixture(autouse=True)
def little_memory():
    """No test here may take more than 200 MB, not even for a moment."""
    def megabytes(what):
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(what)) / 1024
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # forget the peak so far
    except OSError:
        yield
        return
    before = megabytes("VmRSS")
    yield
    assert megabytes("VmHWM") - before < 200


@pytest.fixture
def narrow_networks(monkeypatch):
    """The same formats with networks so small that a thousand files are read in seconds."""
    monkeypatch.setattr(toronto, "KERNELS", NARROW)
    monkeypatch.setattr(layout, "RESNET_BLOCKS", layout.RESNET_BLOCKS | {14: (1, 1, 1, 1)})


def write_narrow(kind, path):
    rng = np.random.default_rng(0)
    if kind == "toronto":
        python2_pickle.write(path, {name: (rng.random(shape, np.float32), rng.random(shape[3], np.float32))
                                    for name, shape in NARROW.items()})
    elif kind == "keras":
        write_keras_h5(path, width=1, depth=14)
    elif kind == "old pth":
        old_torch.write(path, torch_file.read_arrays(os.path.join(FIXTURES, "narrow_resnet26.pth")).tensors)
    elif kind in ("pth", "safetensors"):
        with open(os.path.join(FIXTURES, f"narrow_resnet26.{kind}"), "rb") as file, open(path, "wb") as copy:
            copy.write(file.read())
    else:
        loaded = weights.load(os.path.join(FIXTURES, "narrow_resnet26.pth"))
        few = {name: tensor for name, tensor in loaded.tensors.items() if name.startswith(("stem", "head"))}
        weights.save(path, weights.Weights({"name": "alexnet"}, few, loaded.classes, loaded.preprocessing))


def shapes(loaded):
    return {name: tensor.shape for name, tensor in loaded.tensors.items()}


KINDS = ["toronto", "keras", "pth", "old pth", "safetensors", "npz"]


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_at_every_tenth(kind, narrow_networks, tmp_path):
    path = tmp_path / "whole.npz"
    write_narrow(kind, path)
    weights.load(path)
    content = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(content[:len(content) * tenth // 10])
        refusal(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["toronto", "npz", "safetensors", "pth", "old pth", "keras"])
def test_flipped_bytes_are_refused_or_load_with_the_declared_shapes(kind, narrow_networks, tmp_path):
    path = tmp_path / "whole.npz"
    write_narrow(kind, path)
    wanted = shapes(weights.load(path))
    flip_and_read(path, 1000, lambda: shapes(weights.load(path)) == wanted)


@pytest.mark.parametrize("file", ["dtypes.pth", "dtypes.safetensors"])
def test_a_thousand_flips_in_the_containers(file, monkeypatch, tmp_path):
    monkeypatch.setattr(torchvision, "convert", lambda arrays, *_: (weights.Weights({}, arrays, [], None), []))
    with open(os.path.join(FIXTURES, file), "rb") as genuine:
        (tmp_path / file).write_bytes(genuine.read())
    flip_and_read(tmp_path / file, 1000, lambda: all(
        array.shape == (2, 3) for array in weights.load(tmp_path / file).tensors.values()))


def test_a_thousand_flips_in_pytorchs_old_format(monkeypatch, tmp_path):
    """It has no checksums: what is read may be another part of a tensor's storage, and nothing beyond it."""
    monkeypatch.setattr(torchvision, "convert", lambda arrays, *_: (weights.Weights({}, arrays, [], None), []))
    shutil.copy(os.path.join(FIXTURES, "before_1_6.pth"), tmp_path / "x.pth")
    flip_and_read(tmp_path / "x.pth", 1000, lambda: all(
        array.size <= 6 for array in weights.load(tmp_path / "x.pth").tensors.values()))


def test_pytorchs_old_format_cut_short_anywhere_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(torchvision, "convert", lambda arrays, *_: (weights.Weights({}, arrays, [], None), []))
    with open(os.path.join(FIXTURES, "before_1_6.pth"), "rb") as file:
        content = file.read()
    for length in range(len(content)):
        (tmp_path / "x.pth").write_bytes(content[:length])
        refusal(tmp_path / "x.pth")
    (tmp_path / "x.pth").write_bytes(content)
    assert len(weights.load(tmp_path / "x.pth").tensors) == 5


def flip_and_read(path, flips, good):
    content, generator = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(flips):
        place = generator.randrange(len(content))
        changed = bytes([content[place] ^ (1 << generator.randrange(8))])
        path.write_bytes(content[:place] + changed + content[place + 1:])
        try:
            assert good(), f"byte {place} of {len(content)} is {changed}"
        except cam_base.InputError as error:
            refused += 1
            assert "\n" not in str(error)
    print(f"{refused} of {flips} refused")
    assert refused > flips / 100


# ---------------------------------------------------------------- pickles

class Runs:
    """Unpickled by Python, this runs a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def toronto_file(path, pickled):
    path.write_bytes(python2_pickle.npy_header() + pickled)
    return path


def torch_file_of(path, pickled):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", np.zeros(100, np.float32).tobytes())
    return path


def old_torch_file_of(path, pickled):
    """Storages' ids have a part more, of views, than in the newer format."""
    path.write_bytes(old_torch.document(pickled.replace(b"KdtQ", b"KdNtQ"), {"0": np.zeros(100, np.float32)}))
    return path


every_writer = pytest.mark.parametrize("write", [toronto_file, torch_file_of, old_torch_file_of])
torch_formats = pytest.mark.parametrize("write, read", [(torch_file_of, torch_file.read_arrays),
                                                        (old_torch_file_of, torch_legacy.read_arrays)])


@every_writer
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_ever_executed(write, protocol, tmp_path):
    victim = tmp_path / "executed"
    path = write(tmp_path / "x", pickle.dumps({"conv1": Runs(f"touch {victim}")}, protocol))
    assert "refused" in refusal(path)
    assert not victim.exists()
    if protocol:
        assert "system" in refusal(path)  # what was refused is named


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuKdtQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("
BOMBS = {
    "a giant string": b"\x80\x02T" + struct.pack("<I", 2**32 - 1),
    "giant bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62),
    "a giant bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**62),
    "a giant memo": b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b".",
    "a giant number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1),
    "a giant frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"]",
    "a million lists": b"\x80\x02(" + b"]" * 1_000_000 + b"t.",
    "a million sets": b"\x80\x04(" + b"\x8f" * 1_000_000,
    "a deep tuple": b"\x80\x02)" + b"\x85" * 300_000 + b".",
    "a deep tuple as key": b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s.",
    "lists of lists of themselves": b"\x80\x02]q\0(" + b"h\0" * 100_000 + b"e" + b"h\0a" * 50_000 + b".",
    "a giant array": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
                     b"(K\x01J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86cnumpy\ndtype\nU\x02f4K\0K\x01\x87R\x89U\x01at b.",
    "an expanded tensor": b"\x80\x02}X\1\0\0\0a" + REBUILD + STORAGE
                          + b"K\0J\xff\xff\xff\x7f\x85K\0\x85\x89NtRs.",
    "a tensor beyond its storage": b"\x80\x02}X\1\0\0\0a" + REBUILD + STORAGE + b"K\0K\x65\x85K\x01\x85\x89NtRs.",
    "a tensor before its storage": b"\x80\x02}X\1\0\0\0a" + REBUILD + STORAGE
                                   + b"J\xff\xff\xff\xffK\x01\x85K\x01\x85\x89NtRs.",
    "a storage that is called": b"\x80\x02ctorch\nFloatStorage\nJ\xff\xff\xff\x7f\x85R.",
    "attributes of a function": b"\x80\x02ccollections\nOrderedDict\n}b.",
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
@every_writer
def test_a_few_bytes_never_become_a_huge_object(bomb, write, tmp_path):
    refusal(write(tmp_path / "x", BOMBS[bomb]))


@torch_formats
@pytest.mark.parametrize("bomb, reason", [
    ("a million lists", "more than 400000 steps"), ("a giant string", "truncated"), ("a giant memo", "no state dictionary"),
    ("a deep tuple as key", "no state dictionary"), ("an expanded tensor", "beyond its storage"),
    ("a tensor beyond its storage", "beyond its storage"), ("a tensor before its storage", "description is damaged"),
    ("a storage that is called", "makes a storage"), ("attributes of a function", "state of Admitted")])
def test_bombs_are_refused_for_what_they_are(bomb, reason, write, read, tmp_path):
    with pytest.raises(cam_base.InputError, match=reason):
        read(write(tmp_path / "x", BOMBS[bomb]))


def test_a_storage_has_one_type(tmp_path):
    """Read as each of ten types, it would be in memory ten times."""
    other = STORAGE.replace(b"FloatStorage", b"HalfStorage")
    end = b"K\0K\x32\x85K\x01\x85\x89NtR"
    twice = b"\x80\x02}(X\1\0\0\0a" + REBUILD + STORAGE + end + b"X\1\0\0\0b" + REBUILD + other + end + b"u."
    with pytest.raises(cam_base.InputError, match="of two types"):
        torch_file.read_arrays(torch_file_of(tmp_path / "x", twice))


def test_many_dictionaries_of_tensors_take_no_time():
    saved = {str(number): {"w": np.zeros(1)} for number in range(20_000)}
    began = time.process_time()
    with pytest.raises(cam_base.InputError, match="several state dictionaries"):
        state_dict.tensors_of(saved, np.ndarray)
    assert time.process_time() - began < 10


@torch_formats
def test_a_tensor_inside_its_storage_is_read(write, read, tmp_path):
    """The same pickle with honest numbers is fine."""
    honest = b"\x80\x02}X\1\0\0\0a" + REBUILD + STORAGE + b"K\0K\x64\x85K\x01\x85\x89NtRs."
    assert read(write(tmp_path / "x", honest)).tensors["a"].shape == (100,)


def test_a_storage_of_bfloat16_is_only_widened_once(tmp_path):
    storage = b"(X\x07\0\0\0storagectorch\nBFloat16Storage\nX\1\0\0\x000X\3\0\0\0cpuKdtQ0"
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02(" + storage[:-1] * 1000 + b"t.")
        archive.writestr("archive/data/0", bytes(1_000_000))
    refusal(tmp_path / "x")


# ---------------------------------------------------------------- PyTorch's format from before 1.6

LIES = {
    "a storage longer than the file": ({"count": 2**31 - 1}, {}, "not as long as it says"),
    "a storage shorter than it is described": ({"count": 5}, {}, "not as long as it says"),
    "a count below zero": ({"count": -1}, {}, "makes no sense"),
    "a storage of no type": ({"kind": b"UntypedStorage"}, {}, "torch.UntypedStorage"),
    "a storage that is missing": ({"key": "8"}, {}, "list of storages is damaged"),
    "a storage that nobody names": ({}, {"storages": {"7": np.ones(6, np.float32), "8": np.ones(2, np.float32)}},
                                    "list of storages is damaged"),
    "a key twice": ({}, {"keys": ["7", "7"]}, "list of storages is damaged"),
    "keys that are no text": ({}, {"keys": [7]}, "list of storages is damaged"),
    "a million keys": ({}, {"keys": ["7"] * 1_000_000}, "more than 400000 steps"),
    "no list of keys": ({}, {"keys": "7"}, "list of storages is damaged"),
    "another magic number": ({}, {"magic": (old_torch.MAGIC, 1)}, "in front of its state dictionary"),
    "another version": ({}, {"version": 1002}, "in front of its state dictionary"),
    "a machine that is none": ({}, {"machine": []}, "in front of its state dictionary"),
    "a big-endian machine": ({}, {"machine": {"little_endian": False}}, "big-endian"),
}


def old_file_that_lies(path, described, written):
    """A state dictionary of one tensor with six elements in storage "7", some of it other than it is."""
    described = {"key": "7", "kind": b"FloatStorage", "count": 6} | described
    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n(" + old_torch.storage(**described) + old_torch.whole(0)
              + old_torch.wholes([2, 3]) + old_torch.wholes([3, 1]) + b"\x89NtR")
    written = {"storages": {"7": np.arange(6, dtype=np.float32)}} | written
    path.write_bytes(old_torch.document(b"\x80\x02}(" + old_torch.text("a") + tensor + b"u.", **written))
    return path


@pytest.mark.parametrize("lie", LIES)
def test_old_files_that_lie_are_refused_for_what_they_are(lie, tmp_path):
    described, written, message = LIES[lie]
    with pytest.raises(cam_base.InputError, match=message):
        torch_legacy.read_arrays(old_file_that_lies(tmp_path / "x", described, written))
    refusal(tmp_path / "x")


def test_the_same_old_file_without_a_lie_is_read(tmp_path):
    arrays = torch_legacy.read_arrays(old_file_that_lies(tmp_path / "x", {}, {})).tensors
    np.testing.assert_array_equal(arrays["a"], [[0, 1, 2], [3, 4, 5]])


def test_what_follows_behind_the_storages_is_refused(tmp_path):
    path = old_file_that_lies(tmp_path / "x", {}, {})
    path.write_bytes(path.read_bytes() + b"\0")
    assert "something follows" in refusal(path)


@pytest.mark.parametrize("identity, message", [
    (b"(" + old_torch.text("module") + b"ccollections\nOrderedDict\nNNt", "not a storage"),
    (old_torch.text("storage"), "not a storage"),
    (b"(" + old_torch.text("storage") + b"ctorch\nFloatStorage\n" + old_torch.text("7") + old_torch.text("cpu") + b"K\x06"
     + b"(" + old_torch.text("8") + b"K\0K\3tt", "of a type that is not read"),
    (b"(" + old_torch.text("storage") + b"ctorch\nFloatStorage\nK\x07" + old_torch.text("cpu") + b"K\x06Nt", "of a type"),
    (b"(" + old_torch.text("storage") + b"K\1" + old_torch.text("7") + old_torch.text("cpu") + b"K\x06Nt", "of a type")])
def test_persistent_ids_that_are_no_whole_storages_are_refused(identity, message, tmp_path):
    (tmp_path / "x").write_bytes(old_torch.document(b"\x80\x02" + identity + b"Q.", {"7": np.zeros(6, np.float32)}))
    assert message in refusal(tmp_path / "x")


def test_a_storage_that_is_described_twice_in_two_ways_is_refused(tmp_path):
    twice = old_torch.storage("7", b"FloatStorage", 6) + b"0" + old_torch.storage("7", b"HalfStorage", 6)
    state = b"\x80\x02(" + twice.replace(b"Q0", b"Q") + b"t."
    (tmp_path / "x").write_bytes(old_torch.document(state, {"7": np.zeros(6, np.float32)}))
    assert "makes no sense" in refusal(tmp_path / "x")


# ---------------------------------------------------------------- zip files

def zip_that_lies(path, compressed=zipfile.ZIP_STORED, claim=None, repeat=1):
    """A .pth and .npz at once, whose entry claims another size, is compressed, or is there several times."""
    loaded = weights.load(os.path.join(FIXTURES, "narrow_resnet26.pth"))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(1000, np.float32))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.npy", b"", compressed)
        for _ in range(repeat):
            archive.writestr("head/kernel.npy", buffer.getvalue(), compressed)
        if claim:
            entry = archive.infolist()[-1]
            entry.file_size, entry.compress_size = claim
    return loaded


@pytest.mark.parametrize("lie", [{"claim": (2**31, 2**31)}, {"claim": (2**40, 4128)}, {"claim": (10, 10)},
                                 {"compressed": zipfile.ZIP_DEFLATED}])
def test_zip_entries_that_lie_about_their_size(lie, tmp_path):
    zip_that_lies(tmp_path / "x", **lie)
    refusal(tmp_path / "x")
    content = (tmp_path / "x").read_bytes().replace(b"meta.npy", b"a/data.p").replace(b"a/data.p", b"/data.pk")
    (tmp_path / "x").write_bytes(content)
    refusal(tmp_path / "x")


def test_a_small_file_of_a_huge_network_is_refused_before_it_is_built(tmp_path):
    network = {"name": "resnet", "depth": 152, "width": 512}
    weights.save(tmp_path / "x.npz", weights.Weights(network, {"head/bias": np.zeros(2, np.float32)}, [("n1", "a"), ("n2", "b")],
                                                 cam_base.Preprocessing(size=64)))
    assert "convolutions have 3,7" in refusal(tmp_path / "x.npz")


def test_zip_entries_that_share_their_bytes_are_no_bomb(tmp_path):
    """A thousand entries of the table of contents point at the same megabyte."""
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("meta.npy", b"{}")
        archive.writestr("0.npy", bytes(1_000_000))
        for number in range(1, 1000):
            entry = zipfile.ZipInfo(f"{number}.npy")
            for name in ("header_offset", "file_size", "compress_size", "CRC", "create_system"):
                setattr(entry, name, getattr(archive.getinfo("0.npy"), name))
            archive.filelist.append(entry)
            archive.NameToInfo[entry.filename] = entry
    assert "claim to be larger than the file" in refusal(tmp_path / "x")


# ---------------------------------------------------------------- safetensors

def safetensors_of(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("header, data, message", [
    ({"a": entry(shape=(2**40, 2**40))}, bytes(8), "does not hold its shape"),
    ({"a": entry(shape=(-1, -2))}, bytes(8), "does not hold its shape"),
    ({"a": entry(offsets=(0, 2**40))}, bytes(8), "does not lie"),
    ({"a": entry(), "b": entry()}, bytes(8), "does not lie"),
    ({"a": entry(offsets=(8, 16))}, bytes(16), "does not lie"),
    ({"a": entry()}, bytes(9), "do not fill"),
    ({"a": entry(dtype="F8_E5M2")}, bytes(8), "F8_E5M2"),
    (b'{"a": 1, "a": 1}', b"", "twice"),
    (b"{" * 100_000, b"", "damaged"),
    (b'{"a": 1}', b"", "damaged"),
])
def test_safetensors_headers_that_lie(header, data, message, tmp_path):
    assert message in refusal(safetensors_of(tmp_path / "x", header, data))


# ---------------------------------------------------------------- HDF5

def test_links_and_storage_elsewhere_are_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(4, np.float32)
    (tmp_path / "raw").write_bytes(bytes(400))
    layout_elsewhere = h5py.VirtualLayout((4,), np.float32)
    layout_elsewhere[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (4,))
    for harm in (
            lambda file: file.__setitem__("a", h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")),
            lambda file: file.__setitem__("a", h5py.SoftLink("/b")),
            lambda file: file.create_dataset("a", (100,), "f4", external=[(str(tmp_path / "raw"), 0, 400)]),
            lambda file: file.create_virtual_dataset("a", layout_elsewhere),
            lambda file: file.create_dataset("a", (10**6, 10**6), "f4"),
            lambda file: file.create_dataset("a", (10**6,), "f4", compression="gzip", fillvalue=1.0),
            lambda file: file.create_dataset("a", (3,), h5py.string_dtype())):
        write_keras_h5(tmp_path / "x.h5")
        with h5py.File(tmp_path / "x.h5", "r+") as file:
            harm(file)
        assert "refused" in refusal(tmp_path / "x.h5")


def test_groups_that_hold_one_another_end(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for number in range(30):
            file.create_group(f"g{number}")
        for outer in range(30):
            for inner in range(30):
                file[f"g{outer}/g{inner}"] = file[f"g{inner}"]
    assert "more than any network" in refusal(tmp_path / "x.h5")


# ---------------------------------------------------------------- the command

def test_a_refused_conversion_leaves_no_output(tmp_path):
    toronto_file(tmp_path / "x.npy", BOMBS["a deep tuple"])
    (tmp_path / "out").mkdir()
    run = subprocess.run([sys.executable, "-m", "weights", "convert", tmp_path / "x.npy", "--out",
                          tmp_path / "out" / "x.npz"], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 2 and len(run.stderr.splitlines()) == 1 and "Traceback" not in run.stderr
    assert not list((tmp_path / "out").iterdir())
