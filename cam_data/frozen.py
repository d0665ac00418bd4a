"""Frozen maps: what fixed layers give for every picture, computed once and kept on disk as float16.

Training only the layers behind them then reads these instead of pictures.
"""

import hashlib
import json
import math
import os
import shutil

import numpy as np

from cam_base import InputError, open_regular, replacing
from cam_base.terminal import counted, say
from ops.quiet_tensorflow import tf
from .pipeline import broken_files, epoch_order, viewing_batches


class FrozenMaps:
    """The maps of a PictureSet, and batches of them.

    maps      memory-mapped float16 [pictures, views, ...]: as they are, then mirrored
    pictures  the PictureSet without the files that could not be read
    """

    def __init__(self, maps, pictures):
        self.maps, self.pictures = maps, pictures

    def training_batches(self, batch, *, seed, epoch, start=0):
        """One epoch: (maps, labels, positions), as `data.training_batches`; the view is drawn at random."""
        order = epoch_order(self.pictures, seed, epoch)
        views = np.random.default_rng([seed, epoch, 1]).integers(self.maps.shape[1], size=len(order))
        # Like pictures, a last batch that is not full is dropped unless it is the only one.
        end = len(order) if len(order) < batch else len(order) - batch + 1
        for first in range(start, end, batch):
            rows = order[first:first + batch]
            yield (tf.constant(self.maps[rows, views[rows]]), tf.constant(self.pictures.labels[rows]),
                   tf.range(first, first + len(rows), dtype=tf.int64))

    def viewing_batches(self, batch):
        """(maps, labels) of every picture as it is, in order; the last batch may be smaller."""
        for first in range(0, len(self.pictures), batch):
            yield (tf.constant(self.maps[first:first + batch, 0]),
                   tf.constant(self.pictures.labels[first:first + batch]))


def frozen_maps(path, pictures, preprocessing, compute, shape, *, mirrored, made_of, batch=64):
    """FrozenMaps of `pictures`, from the file `path` or computed and written there.

    A record beside it says what the maps were made of, of which rows, and their
    digest: maps of anything else, or damaged ones, are computed again. The place
    and size are said before the work begins.

    compute   function of inputs, float32 [batch, size, size, 3], to maps [batch, *shape]
    mirrored  whether each picture has a second, mirrored view
    made_of   what tells these pictures and layers from others, as JSON takes it
    raises    InputError when the disk has no room
    """
    views = 2 if mirrored else 1
    made_of = {"made_of": made_of, "preprocessing": preprocessing.to_dict(), "shape": [views, *shape]}
    made_of = json.loads(json.dumps(made_of))
    record = path.removesuffix(".npy") + ".json"
    rows = _recorded_rows(path, record, made_of, len(pictures))
    if rows is None:
        if os.path.lexists(path):
            say(f"{path} is damaged, or of other pictures or layers")
            os.unlink(path)
        _refuse_without_room(path, len(pictures), (views, *shape))
        rows = _write(path, pictures, preprocessing, compute, (views, *shape), batch)
        with replacing(record) as file:
            file.write(json.dumps(made_of | {"rows": rows.tolist(), "digest": _digest(path, rows)}).encode())
    return FrozenMaps(np.load(path, mmap_mode="r", allow_pickle=False), pictures.rows(rows))


def _recorded_rows(path, record, made_of, pictures):
    """The rows that the maps at `path` are of, int64; None unless they are whole and made of this."""
    try:
        with open_regular(record) as file:
            held = json.load(file)
        rows, digest = np.array(held.pop("rows"), np.int64), held.pop("digest")
        right = rows.ndim == 1 and (np.diff(rows) > 0).all() and (rows >= 0).all() and (rows < pictures).all()
        return rows if right and held == made_of and digest == _digest(path, rows) else None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return None


def _digest(path, rows):
    """SHA-256 of a file and of the rows that it holds."""
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(rows.tobytes())
    return digest.hexdigest()


def _refuse_without_room(path, pictures, shape):
    needed = 2 * pictures * math.prod(shape) + 4096
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    say(f"frozen maps of {counted(pictures, 'picture')}, {counted(shape[0], 'view')}: {needed / 1e6:.0f} MB in {path}")
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{path} needs {needed / 1e6:.0f} MB and the disk has {free / 1e6:.0f} MB: "
                         "choose another --out, or train without --freeze-features")


def _write(path, pictures, preprocessing, compute, shape, batch):
    """The maps, `shape` being that of one row; returns the rows. In sequence: a full disk is an error, not a crash."""
    found = []
    try:
        with replacing(path) as file:
            _write_header(file, (len(pictures), *shape))
            for inputs, labels, rows, _ in viewing_batches(pictures, preprocessing, batch):
                views = [compute(inputs), compute(tf.reverse(inputs, [2]))][:shape[0]]
                file.write(_as_float16(np.stack(views, 1)[:len(labels)]).tobytes())
                found.append(rows.numpy())
            if not found:
                raise InputError(f"{pictures.name}: none of its pictures could be read")
            found = np.concatenate(found)
            file.seek(0)
            _write_header(file, (len(found), *shape))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    for _, reason in broken_files(pictures, np.setdiff1d(np.arange(len(pictures)), found)):
        say(f"skipped {reason}")
    return found


def _write_header(file, shape):
    # NumPy leaves room for the first number to change: the header keeps its length.
    np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})


def _as_float16(maps):
    """float16 without infinities: what is beyond its range becomes its largest number."""
    limit = np.finfo(np.float16).max
    return np.clip(maps.astype(np.float32), -limit, limit).astype(np.float16)
