"""Frozen maps: what fixed layers give for every picture, computed once and kept on disk as float16.

Training only the layers behind them then reads these instead of pictures.
"""

import os
import shutil

import numpy as np

from cam_base import InputError, replacing
from cam_data.pipeline import broken_files, epoch_order, viewing_batches
from ops.quiet_tensorflow import tf


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


def frozen_maps(path, pictures, preprocessing, compute, shape, *, mirrored, batch=64):
    """FrozenMaps of `pictures`, from the file `path` or computed and written there.

    The place and size are said before the work begins. A file that is there
    must be of the same pictures and layers: keep it in the run's own folder.

    compute   function of inputs, float32 [batch, size, size, 3], to maps [batch, *shape]
    mirrored  whether each picture has a second, mirrored view
    raises    InputError when the disk has no room, or the file is of another shape
    """
    views = 2 if mirrored else 1
    rows_path = path.removesuffix(".npy") + "-rows.npy"
    if not (os.path.exists(path) and os.path.exists(rows_path)):
        needed = 2 * len(pictures) * views * int(np.prod(shape)) + 4096
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        print(f"frozen maps of {len(pictures)} pictures, {views} views: {needed / 1e6:.0f} MB in {path}", flush=True)
        free = shutil.disk_usage(os.path.dirname(os.path.abspath(path))).free
        if needed > free:
            raise InputError(f"{path} needs {needed / 1e6:.0f} MB and the disk has {free / 1e6:.0f} MB: "
                             "choose another --out, or train without --freeze-features")
        _write(path, rows_path, pictures, preprocessing, compute, (views, *shape), batch)
    try:
        maps = np.load(path, mmap_mode="r", allow_pickle=False)
        rows = np.load(rows_path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: {error}; remove it to have it computed again") from None
    if maps.shape != (len(rows), views, *shape) or maps.dtype != np.float16 or rows.max() >= len(pictures):
        raise InputError(f"{path} is of other pictures or layers; remove it to have it computed again")
    return FrozenMaps(maps, pictures.rows(rows))


def _write(path, rows_path, pictures, preprocessing, compute, shape, batch):
    """Both files, `shape` being that of one row. Written in sequence: a full disk is an error, not a crash."""
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
        with replacing(rows_path) as file:
            np.save(file, found)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    for _, reason in broken_files(pictures, np.setdiff1d(np.arange(len(pictures)), found)):
        print(f"skipped {reason}", flush=True)


def _write_header(file, shape):
    # NumPy leaves room for the first number to change: the header keeps its length.
    np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})


def _as_float16(maps):
    """float16 without infinities: what is beyond its range becomes its largest number."""
    limit = np.finfo(np.float16).max
    return np.clip(maps.astype(np.float32), -limit, limit).astype(np.float16)
