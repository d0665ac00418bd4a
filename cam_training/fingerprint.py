"""What a run was trained on: by it a resumed run knows that its data are still the same."""

import hashlib
import os
import stat

from cam_base import InputError, open_regular

# Up to so many files of so many bytes the contents are compared, too; else only names and sizes.
HASHED_FILES, HASHED_BYTES = 2000, 64 << 20


def of_sets(training, validation):
    """The fingerprint of two PictureSets with the same classes, as JSON has it.

    {"classes": [[wnid, label], ...], "training": rows, "validation": rows}, where
    rows are [name, label, bytes, SHA-256], in order; None for the bytes of drawn
    pictures and of what is no file, and for the hashes where there is much.
    """
    sets = {"training": training, "validation": validation}
    sizes = {name: [_size(file) if pictures.draw is None else None for file in pictures.files]
             for name, pictures in sets.items()}
    known = [size for column in sizes.values() for size in column if size is not None]
    hashed = len(known) <= HASHED_FILES and sum(known) <= HASHED_BYTES
    rows = {name: [[row, int(label), size, _hash(file) if hashed and size is not None else None]
                   for row, file, label, size in zip(pictures.ids or pictures.files, pictures.files, pictures.labels,
                                                     sizes[name])]
            for name, pictures in sets.items()}
    return {"classes": [list(category) for category in training.categories]} | rows


def difference(then, now):
    """What is not the same in two fingerprints, with an example of each kind: one line, or None."""
    if then == now:
        return None
    said = _classes_difference(then["classes"], now["classes"])
    if not said:
        said = [f"{name} pictures: {', '.join(kinds)}" for name in ("training", "validation")
                if (kinds := _rows_difference(then[name], now[name]))]
    return "; ".join(said)


def _classes_difference(then, now):
    then, now = ([" ".join(filter(None, category)) for category in classes] for classes in (then, now))
    gone, new = _without(then, now), _without(now, then)
    said = [f"classes: {len(names)} {what} ({names[0]})" for what, names in (("missing", gone), ("new", new)) if names]
    return said or ["the classes have another order"] * (then != now)


def _rows_difference(then, now):
    """Kinds of changes in one split whose classes are the same."""
    before, after = {row[0]: row[1:] for row in then}, {row[0]: row[1:] for row in now}
    both = [name for name in before if name in after]
    kinds = (("missing", _without(before, after)), ("new", _without(after, before)),
             ("of another class", [name for name in both if before[name][0] != after[name][0]]),
             ("changed", [name for name in both if before[name][1:] != after[name][1:]]))
    said = [f"{len(names)} {what} ({names[0]})" for what, names in kinds if names]
    return said or ["in another order"] * (then != now)


def _without(these, those):
    those = set(those)
    return [name for name in these if name not in those]


def _size(file):
    """Bytes of a regular file; None for what is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _hash(file):
    try:
        with open_regular(file) as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except (OSError, InputError):  # it is skipped in training, too
        return None
