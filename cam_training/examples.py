"""Maps of some validation pictures after every epoch, and the page that shows them."""

import os
import re
import shlex

import numpy as np

import cam_data
import ops
from cam_base import Preprocessing, open_regular, replacing
from cam_evaluation.page import REPORT, about_evaluation, completed, curves_to_show, notice_network, save_page
from cam_report import Shown, small_picture, view
from ops.quiet_tensorflow import tf

FOLDER = "examples"
FILE = re.compile(r"epoch-(\d{6})\.npy")
EXAMPLES = 12  # pictures whose maps are kept of every epoch
COLUMNS, TILE = 4, 120  # of them, drawn; pixels a side
EPOCHS = 9  # of which the page shows maps, spread over all: a key of the keyboard each
SAMPLE = 300  # validation pictures that the page shows at the end, spread over all


class Examples:
    """Class maps of the true classes of a few pictures, as they change from epoch to epoch.

    They are only to be looked at: a picture that cannot be read is left out.
    """

    def __init__(self, run, pictures, preprocessing):
        self.folder, self.pictures = os.path.join(run, FOLDER), pictures
        self.preprocessing = Preprocessing.from_dict(preprocessing)
        self.rows, self._inputs, self._small = _spread(len(pictures), EXAMPLES), None, None

    def take(self, trainer, epoch):
        """Keep the maps after an epoch: `examples/epoch-000001.npy`, float16 [pictures, h, w]; return them, or None."""
        inputs, labels = self.inputs()
        if not len(labels):
            return None
        net = trainer.judged
        features = net(tf.cast(inputs, trainer.compute_dtype), False)[1]["features"]
        maps = ops.class_activation_maps(tf.cast(features, tf.float32), net.head.kernel, labels[:, None])[:, 0]
        maps = ops.normalise(maps.numpy())
        with replacing(os.path.join(self.folder, f"epoch-{epoch:06}.npy")) as file:
            np.save(file, maps.astype(np.float16))
        return maps

    def drawn(self, maps):
        """The pictures, as squares, with such maps over them, beside and below each other: uint8 [H, W, 3]."""
        if self._small is None:
            from PIL import Image
            self._small = [np.asarray(Image.fromarray(self.pictures.pixels(int(row))).resize((TILE, TILE))) for row in self.rows]
        tiles = [ops.overlay(picture, one) for picture, one in zip(self._small, maps)]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
        return np.concatenate([np.concatenate(tiles[start:start + COLUMNS], 1) for start in range(0, len(tiles), COLUMNS)])

    def inputs(self):
        """(inputs, labels) of those that can be read."""
        if self._inputs is None:
            part = self.pictures.rows(self.rows)
            batches = list(cam_data.viewing_batches(part, self.preprocessing, EXAMPLES))
            inputs, labels, rows = batches[0][:3] if batches else (np.zeros((0, 1, 1, 3)), np.zeros(0, np.int32), np.zeros(0, int))
            count = len(labels)
            self.rows = np.asarray(self.rows)[np.asarray(rows)[:count]]
            self._inputs = tf.constant(np.asarray(inputs)[:count], tf.float32), np.asarray(labels)[:count]
        return self._inputs

    def shown(self):
        """A Shown of each picture, with a View for some of the epochs."""
        self.inputs()  # which tells those that can be read
        found = sorted(int(match[1]) for name in _names(self.folder) if (match := FILE.fullmatch(name)))
        maps = {epoch: maps for epoch in (found[place] for place in _spread(len(found), EPOCHS)) if (maps := self._maps(epoch)) is not None}
        shown = []
        for place, row in enumerate(self.rows):
            pixels = self.pictures.pixels(int(row))
            category = self.pictures.categories[self.pictures.labels[row]]
            views = [view(category, None, grid[place], ops.upsample(grid[place], self.preprocessing.size), f"epoch {epoch}")
                     for epoch, grid in maps.items()]
            boxes = self.pictures.boxes[row] if self.pictures.boxes else []
            name = f"{os.path.basename(self.pictures.files[row])} over time"
            shown.append(Shown(name, pixels.shape[:2], small_picture(pixels), views, boxes, true=category))
        return shown

    def _maps(self, epoch):
        """float32 [pictures, h, w], or None for a file that is none of these pictures."""
        try:
            with open_regular(os.path.join(self.folder, f"epoch-{epoch:06}.npy"), 1 << 28) as file:
                maps = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError, MemoryError):  # the last of a header that claims too much
            return None
        good = isinstance(maps, np.ndarray) and maps.dtype == np.float16 and maps.ndim == 3 and len(maps) == len(self.rows) and maps.size and ((maps >= 0) & (maps <= 1)).all()
        return maps.astype(np.float32) if good else None


def noticing(localizer, pictures):
    """Arguments of `evaluate_network` by which a sample of the pictures is kept for the page."""
    notice, wanted = notice_network(localizer), set(_spread(len(pictures), SAMPLE))
    return {"keep": small_picture, "notice": lambda maps, *found: notice(maps, *found) if maps.number in wanted else None}


def write_training_page(settings, examples, curves, records, noticed, judged, metrics):
    """report.html of a run: its curves, its examples over time, and a sample of the pictures that it was judged on.

    curves  {panel: (columns, rows)}
    """
    sample = completed(noticed, records, judged)
    about = about_evaluation(sample, records, judged, metrics)
    about.curves = curves_to_show(curves) + about.curves
    about.settings = [*about.settings, *((name, value) for name, value in vars(settings).items())]
    about.commands += next_commands(settings)
    return save_page(os.path.join(settings.out, REPORT), f"Training: {settings.out}", [*examples.shown(), *sample], about)


def next_commands(settings):
    """The commands that use what was trained: to localize, and to judge it again."""
    run = shlex.quote(settings.out)
    commands = [f"python localize.py PICTURES --weights {run}", f"python evaluate.py --data {shlex.quote(settings.data)} --weights {run}"]
    return commands[:1] if settings.hold_out else commands  # what was held out is no split that evaluate.py knows


def _spread(count, most):
    """At most so many of the numbers below `count`, spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist() if count else []


def _names(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []
