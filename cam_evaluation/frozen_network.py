"""A network that is not trained any more: its pooled features of pictures, and of what its boxes cut out."""

from dataclasses import replace

import numpy as np

import cam_data
import nets
import ops
from cam_base import InputError
from cam_base.terminal import counted
from localization.boxes import paper_boxes
from localization.localizer import BATCH
from ops.quiet_tensorflow import tf
from .linear_classifier import LinearClassifier

HEAD = ["head/bias", "head/kernel"]


class FrozenNetwork:
    """Pooled features as generic features (section 4 of the publication).

    trained  what `weights.load` gave; it may lack the last linear layer
    own      the network's last layer, a LinearClassifier of its pooled features
    raises   InputError when the layers in front of the pooling are not all there
    """

    def __init__(self, trained):
        try:
            self.net = nets.build(trained.network, max(1, len(trained.classes)))
            left = nets.assign(self.net, trained.tensors, partial=True)
            if set(left) - set(HEAD):
                raise InputError(f"they lack {min(set(left) - set(HEAD))}, in front of the pooling: "
                                 "train them first with train_loop.py --init")
            nets.check_size(self.net, trained.preprocessing.size)
        except ValueError as error:  # of which InputError is one
            raise InputError(f"the weights do not fit: {error}") from None
        # A file without the last layer knows no classes, whatever it lists.
        self.classes = [] if left else trained.classes
        self.own = LinearClassifier(self.net.head.kernel.numpy(), self.net.head.bias.numpy())
        self.preprocessing = trained.preprocessing
        self._see = tf.function(lambda inputs: self.net(inputs)[1], autograph=False)

    def pooled(self, pictures, progress=iter):
        """(features, rows): float32 [n, C] of the n pictures that could be read, and which these are.

        Raises InputError when none could be read, or a feature is not finite.
        """
        features, found = [], []
        for inputs, _, rows, _ in progress(cam_data.viewing_batches(pictures, self.preprocessing, BATCH)):
            features.append(self._see(inputs)["pooled"].numpy()[:len(rows)])
            found.append(rows.numpy())
        if not found:
            raise InputError(f"{pictures.name}: none of its pictures could be read")
        features = np.concatenate(features)
        if not np.isfinite(features).all():
            raise InputError(f"{pictures.name}: the network's features of it are not finite")
        return features, np.concatenate(found)

    def boxes(self, pictures, kernel, classes, threshold, progress=iter):
        """The box of one class in each picture, by section 3.2: the largest segment above the threshold.

        kernel   [C, K]: of any linear classifier of the pooled features; equation 2
                 makes maps of it
        classes  int [rows]
        returns  int32 [rows, 4]: x0, y0, x1, y1, half-open, in pixels of the picture
        raises   InputError when a picture cannot be read
        """
        kernel, side = tf.constant(kernel, tf.float32), (self.preprocessing.size,) * 2
        boxes = []
        for inputs, _, rows, sizes in progress(cam_data.viewing_batches(pictures, self.preprocessing, BATCH)):
            chosen = np.zeros((BATCH, 1), np.int32)
            chosen[:len(rows), 0] = classes[rows.numpy()]
            heat_maps = ops.heat_maps(self._see(inputs)["features"], kernel, chosen, side).numpy()
            boxes += [paper_boxes(heat_map, size, threshold)[0] for heat_map, size in zip(heat_maps, sizes.numpy())]
        if len(boxes) != len(pictures):
            raise InputError(f"{pictures.name}: {counted(len(pictures) - len(boxes), 'picture')} cannot be read any more")
        return np.array(boxes, np.int32)


def cut_out(pictures, boxes):
    """The PictureSet of what is inside one box of each picture; section 4.1 leaves no margin around it.

    boxes  int [rows, 4]: x0, y0, x1, y1, half-open, in pixels of the picture; what
           lies outside the picture is cut away, and at least one pixel is left
    """
    def draw(row, epoch):
        picture = pictures.draw(row, epoch) if pictures.draw else pictures.pixels(row)
        height, width = picture.shape[:2]
        x0, y0 = np.clip(boxes[row][:2], 0, [width - 1, height - 1])
        x1, y1 = np.clip(boxes[row][2:], [x0 + 1, y0 + 1], [width, height])
        return picture[y0:y1, x0:x1]

    return replace(pictures, name=f"{pictures.name}, cut out", draw=draw, boxes=None, masks=None)


def largest_boxes(pictures):
    """Of each picture's true boxes the largest, the first of equals: int32 [rows, 4]."""
    return np.array([true[(true[:, 2:] - true[:, :2]).prod(1).argmax()] for true in pictures.boxes], np.int32)
