"""What a run was trained on: by it a resumed run knows that its data are still the same."""

import hashlib
import os
import stat

import numpy as np

from cam_base import InputError, open_regular

# Up to so many files of so many bytes the contents are compared, too; else only names and sizes.
HASHED_FILES, HASHED_BYTES = 2000, 64 << 20
# Of more rows in a split a digest for each class is kept, and the sizes of so many files, evenly spread.
LISTED_ROWS, SAMPLED_FILES = 300_000, 1000


def of_sets(training, validation):
    """The fingerprint of two PictureSets with the same classes, as JSON has it.

    {"classes": [[wnid, label], ...], "training": rows, "validation": rows}, where
    rows are [name, label, bytes, SHA-256], in order; None for the bytes of drawn
    pictures and of what is no file, and for the hashes where there is much.
    The SHA-256 of pictures held in memory is that of their pixels. For a split of more
    than LISTED_ROWS there stands what `_digests` says.
    """
    sets = {"training": training, "validation": validation}
    listed = {name: pictures for name, pictures in sets.items() if len(pictures) <= LISTED_ROWS}
    sizes = {name: [_size(file) if pictures.draw is None else None for file in pictures.files]
             for name, pictures in listed.items()}
    known = [size for column in sizes.values() for size in column if size is not None]
    hashed = len(listed) == len(sets) and len(known) <= HASHED_FILES and sum(known) <= HASHED_BYTES
    rows = {name: _rows(pictures, sizes[name], hashed) if name in listed else _digests(pictures) for name, pictures in sets.items()}
    return {"classes": [list(category) for category in training.categories]} | rows


def _rows(pictures, sizes, hashed):
    names = pictures.ids or pictures.files
    if pictures.held:
        pixels = (pictures.draw(row, 0) for row in range(len(pictures)))
        return [[name, int(label), picture.nbytes, hashlib.sha256(picture).hexdigest()] for name, label, picture in zip(names, pictures.labels, pixels)]
    return [[name, int(label), size, _hash(file) if hashed and size is not None else None]
            for name, file, label, size in zip(names, pictures.files, pictures.labels, sizes)]


def _digests(pictures):
    """{"order": SHA-256 of the labels in their order, "classes": [[pictures, SHA-256 of their names], ...], "files": rows of some}."""
    names, digests = pictures.ids or pictures.files, [hashlib.sha256() for _ in pictures.categories]
    for name, label in zip(names, pictures.labels.tolist()):
        digests[label].update(os.fsencode(name) + b"\0")
    counts = np.bincount(pictures.labels, minlength=len(digests)).tolist()
    sample = np.unique(np.linspace(0, len(pictures) - 1, SAMPLED_FILES).astype(int)).tolist()
    sizes = [_size(pictures.files[row]) if pictures.draw is None else None for row in sample]
    return {"order": hashlib.sha256(np.asarray(pictures.labels, "<i4").tobytes()).hexdigest(),
            "classes": [[count, digest.hexdigest()] for count, digest in zip(counts, digests)],
            "files": [[names[row], int(pictures.labels[row]), size, None] for row, size in zip(sample, sizes)]}


def without_names(split):
    """What of a split's fingerprint is the same wherever its files lie: labels, sizes, hashes."""
    if isinstance(split, list):
        return [row[1:] for row in split]
    return [split["order"], [count for count, _ in split["classes"]], [row[1:] for row in split["files"]]]


def difference(then, now):
    """What is not the same in two fingerprints, with an example of each kind: one line, or None."""
    if then == now:
        return None
    said = _classes_difference(then["classes"], now["classes"])
    if not said:
        said = [f"{name} pictures: {', '.join(kinds)}" for name in ("training", "validation")
                if (kinds := _split_difference(then[name], now[name], now["classes"]))]
    return "; ".join(said)


def _classes_difference(then, now):
    then, now = ([" ".join(filter(None, category)) for category in classes] for classes in (then, now))
    gone, new = _without(then, now), _without(now, then)
    said = [f"classes: {len(names)} {what} ({names[0]})" for what, names in (("missing", gone), ("new", new)) if names]
    return said or ["the classes have another order"] * (then != now)


def _split_difference(then, now, classes):
    """Kinds of changes in one split, as rows or as digests."""
    if isinstance(then, list) and isinstance(now, list) or then == now:
        return _rows_difference(then, now) if isinstance(then, list) else []
    if isinstance(then, list) or isinstance(now, list):
        before, after = (len(split) if isinstance(split, list) else sum(count for count, _ in split["classes"]) for split in (then, now))
        return [f"{before:,} then and {after:,} now"]
    said = [(" ".join(filter(None, category)), after[0] - before[0]) for category, before, after in zip(classes, then["classes"], now["classes"])
            if before != after]
    kinds = (("less", [f"{-more} in {name}" for name, more in said if more < 0]), ("more", [f"{more} in {name}" for name, more in said if more > 0]),
             ("other names", [f"in {name}" for name, more in said if not more]))
    found = [f"{len(examples)} {'class has' if len(examples) == 1 else 'classes have'} {what} ({examples[0]})" for what, examples in kinds if examples]
    # Where names come or go, the sample falls on other files.
    return found or _rows_difference(then["files"], now["files"]) or ["in another order"]


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
