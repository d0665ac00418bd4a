"""What folders of pictures hold, remembered from one start to the next: a walk over a million files takes long.

An index is a file of JSON in $XDG_CACHE_HOME/cam-index (~/.cache/cam-index), named after the real path of the
data set's folder. It is a hint: a folder whose time of change or number is not the one remembered is read anew.
"""

import contextlib
import contextvars
import hashlib
import json
import os
import time

from cam_base import InputError, cache_folder, open_regular, replacing

LEAST_PICTURES = 20_000  # of a set that is worth an index
LARGEST = 1 << 30  # bytes of an index
# A folder that changed so shortly before it was read may change again within the same tick of the file system's clock.
SETTLED = 2 * 10 ** 9  # nanoseconds
_active = contextvars.ContextVar("index", default=None)


def index_path(root):
    """Where the index of the data set in folder `root` lies, if there is one."""
    return os.path.join(cache_folder("cam-index"), hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:32] + ".json")


@contextlib.contextmanager
def indexed(root):
    """`with indexed(root):` what `listed` is asked for below `root` comes from its index where that is up to date.

    Afterwards the index is written, if it has changed and the set is large. Where it cannot be, nothing is lost but time.
    """
    index = _Index(root)
    before = _active.set(index)
    try:
        yield
    finally:
        _active.reset(before)
    index.write()


def listed(folder, scan):
    """[names of its pictures, names of its folders], both sorted, as `scan(folder)` finds them. Raises OSError as it does."""
    index = _active.get()
    return index.listed(folder, scan) if index else scan(folder)


class _Index:
    """{real path: [time of change, inode, names of pictures, names of folders]}."""

    def __init__(self, root):
        self.path, self.changed, self.used = index_path(root), False, {}
        self.known = _read(self.path)

    def listed(self, folder, scan):
        key = os.path.realpath(folder)
        status, now = os.stat(key), time.time_ns()
        stamp = [status.st_mtime_ns, status.st_ino]
        entry = self.known.get(key)
        if not entry or entry[:2] != stamp:
            entry = stamp + list(scan(folder))
            self.changed = True
            # One that is not settled is read again each time.
            self.known.pop(key, None) if now - status.st_mtime_ns < SETTLED else self.known.update({key: entry})
        self.used[key] = entry
        return entry[2:]

    def write(self):
        """Replace the file by what was asked for and is settled; both splits of a set are kept while their folders are there."""
        kept = {key: entry for key, entry in self.known.items() if key in self.used or os.path.isdir(key)}
        if not self.changed or sum(len(entry[2]) for entry in kept.values()) < LEAST_PICTURES:
            return
        with contextlib.suppress(OSError), replacing(self.path) as file:
            file.write(json.dumps(kept).encode())


def _read(path):
    """The index at `path`; nothing where there is none, or it is damaged."""
    try:
        with open_regular(path, LARGEST) as file:
            known = json.load(file)
    except (OSError, ValueError, RecursionError, InputError):
        return {}
    return known if isinstance(known, dict) and all(map(_is_entry, known.values())) else {}


def _is_entry(entry):
    return (isinstance(entry, list) and len(entry) == 4 and all(isinstance(number, int) for number in entry[:2])
            and all(isinstance(names, list) and all(isinstance(name, str) and _is_plain(name) for name in names) for names in entry[2:]))


def _is_plain(name):
    return "/" not in name and "\0" not in name and name not in ("", ".", "..")
