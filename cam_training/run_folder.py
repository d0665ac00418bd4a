"""A run's folder: who holds it, what it was begun with, and what a killed process left in it."""

import glob
import json
import os
import shutil

from cam_base import InputError, locked, open_regular, replacing
from cam_base.terminal import command_line, say
from .checkpoints import FILE
from .fingerprint import difference

LOCK, SETTINGS, DATA, CHECKPOINTS = ".lock", "settings.json", "data.json", "checkpoints"
RESULTS = ("weights.npz", "log.jsonl")  # of a run that was trained
# By any of these a folder is known to hold a run; by those behind the first one, that it came to its first checkpoint.
TRACES = (SETTINGS, CHECKPOINTS, *RESULTS, "best.npz", "examples")
MOST_BYTES = 1 << 28  # of a JSON file that may be a run's
# What `replacing` and TensorFlow call what they have not finished.
LEFTOVERS = (".unfinished-*", "checkpoints/.unfinished-*", "checkpoints/*_temp*", "checkpoints/*.tmp*",
             "checkpoints/*.tempstate*")


def holding(folder):
    """`with holding(folder):` no other process trains there. The lock ends with the process, however that ends."""
    return locked(os.path.join(folder, LOCK), f"{folder}: another process trains in this folder; wait for its end, "
                                              "or choose another folder by --out")


def begin(settings, data):
    """Make the folder of a new run; InputError where there is a run already, unless it never came to a checkpoint.

    data  its fingerprint
    """
    _refuse_taken(settings, data, f"go on with it by --resume {command_line(settings.out)}, or choose another folder by --out")
    if os.path.lexists(os.path.join(settings.out, SETTINGS)):
        say(f"{settings.out}: a run that was begun here has no checkpoint; it is begun again")
        _clear(settings.out)
    _write_json(os.path.join(settings.out, DATA), data)
    # The last one: a folder with settings.json is a run.
    write_settings(settings)


def _refuse_taken(settings, data, advice):
    """InputError where there is a run already, or a file of somebody else that is called like one of a run's."""
    out, traces = settings.out, _traces(settings.out)
    if traces and traces != [SETTINGS]:
        raise InputError(f"{out} already holds a run ({traces[0]}): {advice}")
    for path, content in ((os.path.join(out, SETTINGS), vars(settings)), (os.path.join(out, DATA), data)):
        if os.path.lexists(path) and not _holds_such(path, content):
            raise InputError(f"{path} is of somebody else, and is not written over: choose another folder by --out")


def _traces(out):
    """Which of the TRACES are there; a folder for checkpoints without one is none."""
    folder = os.path.join(out, CHECKPOINTS)
    return [name for name in TRACES if os.path.lexists(os.path.join(out, name))
            and (name != CHECKPOINTS or not os.path.isdir(folder) or any(map(FILE.fullmatch, os.listdir(folder))))]


def _holds_such(path, like):
    """Whether a file is what a run that never came to a checkpoint left: a dictionary with these keys."""
    try:
        with open_regular(path, MOST_BYTES) as file:
            return set(json.load(file)) == set(like)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def write_settings(settings):
    _write_json(os.path.join(settings.out, SETTINGS), vars(settings), indent=1)


def go_on(settings, data, source):
    """Make ready to go on in settings.out, with the run in folder `source` or a copy of it. Leftovers are cleared away.

    data    the fingerprint of what the settings' data are now
    raises  InputError where they are not what the run was trained on
    """
    said = _changed_data(source, data)
    if said:
        raise InputError(f"{settings.data} is not what {source} was trained on: {said}; "
                         "put it back as it was, or start a new run")
    if not os.path.samefile(source, settings.out):
        _copy(source, settings, data)
    _clear(settings.out)


def _clear(folder):
    for pattern in LEFTOVERS:
        for path in glob.glob(os.path.join(glob.escape(folder), pattern)):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def refuse_lost(folder):
    """InputError where a run that has no checkpoint was trained already: to begin again would undo it."""
    for name in RESULTS:
        if os.path.lexists(os.path.join(folder, name)):
            raise InputError(f"{folder} has {name} but no checkpoint: it cannot be gone on with; "
                             "start a new run, with its weights.npz by --init")


def _changed_data(run, data):
    """What is not the same as when the run was begun, or None."""
    path = os.path.join(run, DATA)
    try:
        with open_regular(path) as file:
            return difference(json.load(file), data)
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}), so nobody knows "
                         "whether the data are still the same; start a new run, with its weights by --init") from None


def _copy(run, settings, data):
    """The run again in the folder settings.out, where no run is yet."""
    out = settings.out
    _refuse_taken(settings, data, "choose another folder by --out")
    left_out = shutil.ignore_patterns(LOCK, SETTINGS, ".unfinished-*")
    with holding(run):
        shutil.copytree(run, out, dirs_exist_ok=True, ignore=left_out)
        shutil.copyfile(os.path.join(run, SETTINGS), os.path.join(out, SETTINGS))


def _write_json(path, content, indent=None):
    with replacing(path) as file:
        file.write(json.dumps(content, indent=indent).encode())
