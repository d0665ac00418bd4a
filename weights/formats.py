"""One entry for every weights file that is understood: what it is is seen from its content."""

import glob
import hashlib
import os
import re
import zipfile
from dataclasses import replace

from cam_base import InputError
from . import efficientnet, safetensors_file, store, torch_file, torch_legacy, torchvision, toronto
from .catalogue import by_file, by_sha256, check_hash
from .class_names import category_called
from .state_dict import HUGGING_FACE_NAMES, State, without_prefix
from .values import check_statistics

OWN = "cam-weights .npz"
LARGEST_FILE = 8 << 30  # the widest ResNet-152 that can be built has seven of these eight gigabytes


def load(path, entry=None, given=frozenset()):
    """Weights of `path`, which may be of any of these formats, whatever it is called:

    this project's .npz and its training's checkpoints; the Toronto AlexNet .npy;
    Keras ResNet .h5, .weights.h5 and .keras; torchvision ResNet and EfficientNet-Lite
    .pth, of any version of PyTorch, and .safetensors.
    A hash that the file's name claims, or that lies beside it as <path>.sha256,
    is checked before anything is parsed. Numbers that no trained network has are
    refused: `weights.values` says which. Of what a training program saved around and beside a
    state dictionary, what was taken stands in `provenance["taken"]`; `entry` names another
    one, "model_ema". `given` says what the user says besides, of "preprocessing" and "multi_label",
    where a file does not. Raises InputError, in one line.
    """
    path = os.fspath(path)
    try:
        weights = _read(path, entry, given)
        check_statistics(weights.network, weights.tensors)
        return weights
    except OSError as error:
        raise InputError(f"{path}: {_one_line(error.strerror or error)}") from None
    except InputError as error:
        raise InputError(f"{path}: {_one_line(error)}") from None
    except Exception as error:
        # Parsers, ours and those of zip, NumPy and HDF5, stumble over damage in more ways than can be listed.
        raise InputError(f"{path} is damaged ({_one_line(str(error) or type(error).__name__)})") from None


def _read(path, entry=None, given=frozenset()):
    prefix = path.removesuffix(".index")
    if (not os.path.isfile(path) or path != prefix) and os.path.isfile(prefix + ".index"):
        from . import checkpoint
        for part in glob.glob(glob.escape(prefix) + ".data-*"):
            if not os.path.isfile(part):  # TensorFlow would wait for a pipe's other end
                raise InputError(f"{os.path.basename(part)} is not a file")
        return checkpoint.read(prefix)
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError("it is not a file")
    if os.path.isfile(path) and os.path.getsize(path) > LARGEST_FILE:
        raise InputError(f"it has {os.path.getsize(path):,} bytes; at most {LARGEST_FILE:,} are read")
    sha256 = checked_sha256(path)
    kind = recognise(path)
    if entry is not None and not kind.startswith("PyTorch"):
        raise InputError(f"it is {kind}, which has no entries to choose from")
    weights = READERS[kind](path, sha256, entry, given)
    if kind == OWN:
        return weights
    about = {"format": kind, "file": os.path.basename(path), "sha256": sha256}
    return replace(weights, provenance=weights.provenance | about)


def checked_sha256(path):
    """The file's SHA-256 in hex; InputError if its name, or the file beside it, claims another."""
    name = os.path.basename(path)
    sha256 = file_hash(path, "sha256")
    published = by_file(name)
    if published and published.hash:
        check_hash(published, sha256 if published.hash_kind() == "sha256" else file_hash(path, "md5"))
    claim = re.search(r"-([0-9a-f]{8})\.pth$", name)
    a_date = claim and re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])", claim[1])
    if claim and not a_date and not sha256.startswith(claim[1]):
        raise InputError(f"its SHA-256 begins with {sha256[:8]}, not with {claim[1]} as its name says: "
                         "it is damaged, or not that file")
    recorded = f"{path}.sha256"
    if os.path.isfile(recorded):
        check_recorded(recorded, sha256)
    return sha256


def check_recorded(record, sha256):
    """InputError if the file `record`, written when the weights were first used, has another hash."""
    with open(record, encoding="ascii", errors="replace") as file:
        if file.read(64) != sha256:
            raise InputError(f"its SHA-256 is not the one in {record}: it is not the file that was used first")


def file_hash(path, kind):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def sha256(path):
    """The hash of a weights file, or of the files of a checkpoint that is named without their endings."""
    if os.path.exists(path):
        return file_hash(path, "sha256")
    whole = hashlib.sha256()
    for part in sorted(glob.glob(f"{glob.escape(path)}.index") + glob.glob(f"{glob.escape(path)}.data-*")):
        whole.update(file_hash(part, "sha256").encode())
    return whole.hexdigest()


def recognise(path):
    """The format of a file, one of READERS, from its first bytes and its table of contents."""
    with open(path, "rb") as file:
        start = file.read(16)
        size = os.fstat(file.fileno()).st_size
    if start.startswith(b"\x93NUMPY"):
        return "Toronto .npy"
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "Keras .h5"
    if start.startswith(b"PK"):
        return _kind_of_zip(path)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size:
        return "safetensors"
    if start[:1] == b"\x80" and b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" in start:
        return "PyTorch .pth from before 1.6"
    if start[:1] == b"\x80":
        raise InputError("it is a bare pickle, which could run anything: refused")
    raise InputError("it is of no format that is read here: the project's .npz, the Toronto .npy, "
                     "Keras' .h5 and .keras, PyTorch's .pth, or .safetensors")


def _kind_of_zip(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "meta.npy" in names:
        return OWN
    if any(name.endswith("/data.pkl") for name in names):
        return "PyTorch .pth"
    if {"model.weights.h5", "config.json"} <= set(names):
        return "Keras .keras"
    raise InputError("it is a zip file, but neither weights of this project, nor of PyTorch, nor of Keras")


def _read_keras(path, _, __, given):
    from . import keras_h5  # h5py is only needed here
    return keras_h5.read(path, given)


def _of_state(state, sha256):
    """Weights from a `State` of any of the networks that PyTorch's formats are read for."""
    arrays, beside, prefix = without_prefix(state.tensors)
    if efficientnet.is_efficientnet(arrays):
        weights, unused = efficientnet.convert(arrays), list(beside)
    else:
        published = by_sha256(sha256)
        second = sha256.startswith(torchvision.V2_WIDE) or published is not None and published.name.endswith("-v2")
        weights, unused = torchvision.convert(arrays, beside, second)
        if prefix == HUGGING_FACE_NAMES:
            # As the processor that transformers keeps beside its ResNets: the same crop, but bicubic.
            weights = replace(weights, preprocessing=replace(weights.preprocessing, interpolation="bicubic"))
    names = state.names
    if names and len(names) == len(weights.classes):
        weights = replace(weights, classes=list(map(category_called, names)))
    unused = [name for name in unused if not name.endswith(("num_batches_tracked", "n_averaged"))]
    taken = [state.taken, prefix, f"not used: {', '.join(unused[:3])}{' ...' * (len(unused) > 3)}" if unused else None]
    taken = "; ".join(filter(None, taken))
    return replace(weights, provenance=weights.provenance | ({"taken": taken} if taken else {}))


READERS = {
    OWN: lambda path, *_: store.read(path),
    "Toronto .npy": lambda path, *_: toronto.read(path),
    "Keras .h5": _read_keras,
    "Keras .keras": _read_keras,
    "PyTorch .pth": lambda path, sha256, entry, _: _of_state(torch_file.read_arrays(path, entry), sha256),
    "PyTorch .pth from before 1.6": lambda path, sha256, entry, _: _of_state(torch_legacy.read_arrays(path, entry), sha256),
    "safetensors": lambda path, sha256, *_: _of_state(State(safetensors_file.read_arrays(path)), sha256),
}


def _one_line(text):
    return " ".join(str(text).split())[:400]
