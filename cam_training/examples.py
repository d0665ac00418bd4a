"""Maps of some validation pictures as they change over the epochs, and the page that shows them."""

import os
import re

import numpy as np

import cam_data
import ops
from cam_base import Preprocessing, open_regular, replacing
from cam_base.settings import without_defaults
from cam_base.terminal import command_line
from cam_evaluation.page import REPORT, about_evaluation, completed, curves_to_show, notice_network, save_page
from cam_report import Shown, small_picture, view
from ops.quiet_tensorflow import tf

FOLDER = "examples"
FILE = re.compile(r"epoch-(\d{6})\.npy")
EXAMPLES = 12  # pictures whose maps are kept
COLUMNS, TILE = 4, 120  # of them, drawn; pixels a side
EPOCHS = 9  # after which they are, spread over all: a key of the keyboard each
SAMPLE = 300  # validation pictures that the page shows at the end, spread over all


class Examples:
    """Class maps of the true classes of a few pictures, as they change over the epochs.

    They are only to be looked at: a picture that cannot be read is left out.
    """

    def __init__(self, settings, pictures):
        self.folder, self.pictures = os.path.join(settings.out, FOLDER), pictures
        self.preprocessing, self.scale = Preprocessing.from_dict(settings.preprocessing), settings.looking.get("scale", "min-max")
        self.epochs = {place + 1 for place in _spread(settings.epochs, EPOCHS)}
        self.rows, self._inputs, self._small, self._features = _spread(len(pictures), EXAMPLES), None, None, None

    def take(self, trainer, epoch):
        """Keep the class maps after one of the epochs that are shown, `examples/epoch-000001.npy`, float16 [pictures, h, w], each in
        [-1, 1], divided by its largest magnitude, and return them; None after any other."""
        labels = self.inputs()[1] if epoch in self.epochs else ()
        if not len(labels):
            return None
        maps = ops.class_activation_maps(self.features(trainer), trainer.judged.head.kernel, labels[:, None])[:, 0]
        largest = tf.reduce_max(tf.abs(maps), (1, 2), keepdims=True)
        maps = tf.cast(tf.math.divide_no_nan(maps, largest), tf.float16).numpy()
        with replacing(os.path.join(self.folder, f"epoch-{epoch:06}.npy")) as file:
            np.save(file, maps)
        return maps

    def features(self, trainer):
        """float32 [pictures, h, w, C], as the network is now."""
        if self._features is not None:
            return self._features
        net = trainer.judged
        features = tf.cast(net(tf.cast(self.inputs()[0], trainer.compute_dtype), False)[1]["features"], tf.float32)
        if trainer.frozen and net.frozen == "pooled":  # nothing in front of the pooling changes any more
            self._features = features
        return features

    def drawn(self, maps):
        """The pictures, as squares, with such maps over them, beside and below each other: uint8 [H, W, 3]."""
        if self._small is None:
            from PIL import Image
            self._small = [np.asarray(Image.fromarray(self.pictures.pixels(int(row))).resize((TILE, TILE))) for row in self.rows]
        tiles = [ops.overlay(picture, one) for picture, one in zip(self._small, ops.normalise(maps.astype(np.float32), self.scale))]
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

    def shown(self, localizer):
        """A Shown of each picture, with a View for some of the epochs, the last one first: as the run's Localizer makes maps and boxes."""
        self.inputs()  # which tells those that can be read
        found = sorted(int(match[1]) for name in _names(self.folder) if (match := FILE.fullmatch(name)))
        maps = {epoch: maps for epoch in (found[place] for place in _spread(len(found), EPOCHS)[::-1]) if (maps := self._maps(epoch)) is not None}
        shown = []
        for place, row in enumerate(self.rows):
            pixels = self.pictures.pixels(int(row))
            category = self.pictures.categories[self.pictures.labels[row]]
            colours = ops.walk_colours(pixels, localizer.refine_grid) if localizer.refine else None
            refined = {epoch: localizer.refined(of_all[place:place + 1], colours) for epoch, of_all in maps.items()}
            views = [view(category, None, localizer.scaled(one)[0], localizer.heat_maps(one)[0], f"epoch {epoch}", localizer.threshold)
                     for epoch, one in refined.items()]
            boxes = self.pictures.boxes[row] if self.pictures.boxes else []
            name = f"{self.pictures.names[row]} over time"
            shown.append(Shown(name, pixels.shape[:2], small_picture(pixels), views, boxes, true=category))
        return shown

    def _maps(self, epoch):
        """float32 [pictures, h, w], or None for a file that is none of these pictures."""
        try:
            with open_regular(os.path.join(self.folder, f"epoch-{epoch:06}.npy"), 1 << 28) as file:
                maps = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError, MemoryError):  # the last of a header that claims too much
            return None
        good = isinstance(maps, np.ndarray) and maps.dtype == np.float16 and maps.ndim == 3 and len(maps) == len(self.rows) and maps.size and (np.abs(maps) <= 1).all()
        return maps.astype(np.float32) if good else None


def noticing(localizer, pictures):
    """Arguments of `evaluate_network` by which a sample of the pictures is kept for the page."""
    notice, wanted = notice_network(localizer), set(_spread(len(pictures), SAMPLE))
    return {"keep": small_picture, "notice": lambda maps, *found: notice(maps, *found) if maps.number in wanted else None}


def write_training_page(settings, localizer, examples, curves, records, noticed, judged, metrics):
    """report.html of a run: its curves, a sample of the pictures that it was judged on, and its examples over time.

    localizer  of the network that was judged
    curves     {panel: (columns, rows)}
    """
    sample = completed(noticed, records, judged)
    about = about_evaluation(sample, records, judged, metrics)
    about.curves = curves_to_show(curves) + about.curves
    about.settings = [*about.settings, *without_defaults(vars(settings), type(settings)).items()]
    about.commands += next_commands(settings)
    return save_page(os.path.join(settings.out, REPORT), f"Training: {settings.out}", [*sample, *examples.shown(localizer)], about)


def next_commands(settings):
    """The commands that use what was trained: to localize, and to judge it again."""
    run = command_line(settings.out)
    commands = [f"python localize.py PICTURES --weights {run}", f"python evaluate.py --data {command_line(settings.data)} --weights {run}"]
    return commands[:1] if settings.hold_out else commands  # what was held out is no split that evaluate.py knows


def _spread(count, most):
    """At most so many of the numbers below `count`, spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist() if count else []


def _names(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []
