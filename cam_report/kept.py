"""maps.npz: what an evaluation keeps to be shown, so that a report of it, or of two, needs neither network nor pictures."""

import json
import os
import zipfile

import numpy as np

from cam_base import Category, InputError, open_regular, replacing
from .shown import LARGEST_GRID, Shown, View
from .slider import MOST, STEPS, StepBoxes

FILE = "maps.npz"
LARGEST = 1 << 32  # bytes, uncompressed, that are read
LARGEST_SIDE = 1 << 16
# Of each array: its kind, and the axes behind its first.
ARRAYS = {"names": ("u", ()), "size": ("i", (2,)), "picture": ("u", ()), "picture_end": ("i", ()), "view_end": ("i", ()),
          "true_end": ("i", ()), "true_box": ("i", (4,)), "true": ("i", ()), "guess": ("i", ()), "right": ("i", ()), "iou": ("f", ()),
          "category": ("i", ()), "probability": ("f", ()), "map_size": ("i", (2,)), "grid_size": ("i", (2,)), "grid": ("f", ()),
          "count": ("u", (STEPS,)), "peak": ("u", (STEPS,)), "box": ("u", (4,)), "threshold": ("f", ()), "drawn": ("i", (4,))}
NO_BOX = (-1,) * 4  # of "drawn", where no box was judged


def write_kept(folder, shown):
    """Write a list of Shown. Grids are float16, boxes of all steps uint16."""
    numbers = {}

    def number(category):
        return -1 if category is None else numbers.setdefault((category[0], category[1]), len(numbers))

    views = [view for one in shown for view in one.views]
    arrays = {
        "size": [one.size for one in shown], "picture_end": np.cumsum([len(one.picture) for one in shown]),
        "view_end": np.cumsum([len(one.views) for one in shown]), "true_end": np.cumsum([len(one.true_boxes) for one in shown]),
        "true_box": _joined([np.reshape(one.true_boxes, (-1, 4)) for one in shown], np.int32, (4,)),
        "true": [number(one.true) for one in shown], "guess": [number(one.guess) for one in shown],
        "right": [-1 if one.right is None else int(one.right) for one in shown],
        "iou": np.array([np.nan if one.iou is None else one.iou for one in shown], np.float64),
        "category": [number(view.category) for view in views],
        "probability": np.array([np.nan if view.probability is None else view.probability for view in views], np.float32),
        "threshold": np.array([view.threshold for view in views], np.float64), "drawn": [view.box or NO_BOX for view in views],
        "map_size": [view.map_size for view in views], "grid_size": [view.grid.shape for view in views]}
    arrays = {name: array if ARRAYS[name][0] == "f" else np.asarray(array, np.int64).reshape(-1, *ARRAYS[name][1]) for name, array in arrays.items()}
    arrays |= {"picture": np.frombuffer(b"".join(one.picture for one in shown), np.uint8),
               "grid": _joined([np.ravel(view.grid) for view in views], np.float16),
               "count": np.array([view.steps.count for view in views], np.uint8).reshape(-1, STEPS),
               "peak": np.array([view.steps.peak for view in views], np.uint8).reshape(-1, STEPS),
               "box": _joined([view.steps.box for view in views], np.uint16, (4,))}
    about = {"ids": [one.name for one in shown], "categories": [list(name) for name in numbers]}
    arrays["names"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with replacing(os.path.join(folder, FILE)) as file:
        np.savez(file, **arrays)


def _joined(arrays, dtype, axes=()):
    return np.concatenate([np.zeros((0, *axes), dtype), *arrays], dtype=dtype, casting="unsafe")


def read_kept(folder):
    """A list of Shown, as `write_kept` wrote it. Raises InputError for a folder that has none, or a damaged one."""
    path = os.path.join(folder, FILE)
    try:
        with open_regular(path, LARGEST) as opened:
            with zipfile.ZipFile(opened) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                    raise ValueError("too large")
            opened.seek(0)
            file = np.load(opened, allow_pickle=False)
            arrays = {name: file[name] for name in ARRAYS if name in file}
        if len(arrays) < len(ARRAYS):
            raise InputError(f"{path}: has no {', '.join(sorted(set(ARRAYS) - set(arrays)))}, as another version wrote it: judge again by evaluate.py")
        return _shown(arrays)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}: {FILE}; evaluate.py writes it, unless --keep-maps is fewer than its pictures") from None
    except InputError:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds for damaged files
        raise InputError(f"{path} is damaged ({type(error).__name__}: {str(error)[:80]})") from None


def _shown(arrays):
    for name, (kind, axes) in ARRAYS.items():
        if arrays[name].dtype.kind != kind or arrays[name].shape[1:] != axes:
            raise ValueError(f"{name} is {arrays[name].dtype} {arrays[name].shape}")
    about = json.loads(arrays["names"].tobytes())
    ids, categories = about["ids"], [Category(wnid, label) for wnid, label in about["categories"]]
    texts = [*ids, *(label for _, label in categories), *(wnid for wnid, _ in categories if wnid is not None)]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("names that are no text")
    pictures, views = len(ids), len(arrays["category"])
    for name in ("size", "picture_end", "view_end", "true_end", "true", "guess", "right", "iou"):
        if len(arrays[name]) != pictures:
            raise ValueError(f"{name} of {len(arrays[name])} pictures, not {pictures}")
    for name in ("probability", "map_size", "grid_size", "count", "peak", "threshold", "drawn"):
        if len(arrays[name]) != views:
            raise ValueError(f"{name} of {len(arrays[name])} maps, not {views}")
    grid_size, map_size = arrays["grid_size"], arrays["map_size"]
    if views and not (1 <= grid_size.min() and grid_size.max() <= LARGEST_GRID and 1 <= map_size.min() and map_size.max() < LARGEST_SIDE):
        raise ValueError("sizes of maps")
    if pictures and not (1 <= arrays["size"].min() and arrays["size"].max() < 1 << 20):
        raise ValueError("sizes of pictures")
    if views and (arrays["count"].min() < 1 or arrays["count"].max() > MOST or (arrays["peak"] >= arrays["count"]).any()):
        raise ValueError("counts of segments")
    if views and not (0 <= arrays["threshold"].min() and arrays["threshold"].max() < 1 and -1 <= arrays["drawn"].min() and arrays["drawn"].max() < 1 << 20):
        raise ValueError("boxes that were judged")
    for name in ("true", "guess", "category"):
        if len(arrays[name]) and not (-1 <= arrays[name].min() and arrays[name].max() < len(categories)):
            raise ValueError(f"{name} of no class")
    pictures_of = _parts(arrays["picture"], arrays["picture_end"])
    true_boxes = _parts(arrays["true_box"], arrays["true_end"])
    grids = _parts(arrays["grid"], np.cumsum(grid_size.prod(axis=1)))
    boxes = _parts(arrays["box"], np.cumsum(arrays["count"].sum(axis=1, dtype=np.int64)))
    every = [View(categories[arrays["category"][row]], _or_none(arrays["probability"][row]), grids[row].reshape(grid_size[row]),
                  StepBoxes(arrays["count"][row], boxes[row].astype(np.int32), arrays["peak"][row]), tuple(map_size[row].tolist()),
                  None, float(arrays["threshold"][row]), None if arrays["drawn"][row, 0] < 0 else tuple(arrays["drawn"][row].tolist()))
             for row in range(views)]
    return [Shown(ids[row], tuple(arrays["size"][row].tolist()), pictures_of[row].tobytes(), list(of_picture), true_boxes[row].tolist(),
                  _category(categories, arrays["true"][row]), _category(categories, arrays["guess"][row]),
                  None if arrays["right"][row] < 0 else bool(arrays["right"][row]), _or_none(arrays["iou"][row]))
            for row, of_picture in enumerate(_parts(every, arrays["view_end"]))]


def _parts(values, ends):
    """The values cut at the ends, which must rise and end with them."""
    starts = np.concatenate([[0], ends]).astype(np.int64)
    if (np.diff(starts) < 0).any() or starts[-1] != len(values):
        raise ValueError("parts that do not add up")
    return [values[start:end] for start, end in zip(starts[:-1], starts[1:])]


def _category(categories, number):
    return None if number < 0 else categories[number]


def _or_none(number):
    return None if np.isnan(number) else float(number)
