"""A network with its weights: from prepared pictures to classes, class maps and heat maps."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

import nets
import ops
from cam_base import InputError
from ops.quiet_tensorflow import tf

# The paper resizes to 256 pixels what it crops to 224.
FRAME_OVER_CROP = 256 / 224


class Seen(NamedTuple):
    """probabilities float32 [N, K]; classes int32 [N, k]; class_maps float32 [N, k, h, w], as the
    network has them or aligned; heat_maps float32 [N, k, H, W], of the whole picture, in [0, 1]."""

    probabilities: np.ndarray
    classes: np.ndarray
    class_maps: np.ndarray
    heat_maps: np.ndarray


class Localizer:
    """Sees a picture once, or in several views whose scores are averaged and whose maps are merged.

    weights        what `weights.load` gave
    precision      dtype to compute in, "float32" or "bfloat16"
    output_stride  None, or a finer map for a ResNet: its strides become dilations
    crops          1: the whole picture; 2: and its mirror image; 10: the paper's ten crops
    scales         sides of the input in pixels at which the whole picture is seen, instead
    align          lay each cell of a map where the network saw it, instead of spreading them evenly
    """

    def __init__(self, trained, precision="float32", output_stride=None, crops=1, scales=(), align=False):
        if not trained.classes:
            raise InputError("these weights have no classes: train a head first, with train_loop.py --init")
        config = dict(trained.network) | ({"output_stride": output_stride} if output_stride else {})
        try:
            self.net = nets.build(config, len(trained.classes))
            nets.assign(self.net, trained.tensors)
            nets.check_size(self.net, min(scales, default=trained.preprocessing.size))
        except ValueError as error:
            raise InputError(f"the weights do not fit: {error}") from None
        self.classes, self.crops, self.scales, self.align = trained.classes, crops, tuple(scales), align
        self.size = trained.preprocessing.size
        side = round(self.size * FRAME_OVER_CROP) if crops == 10 else max(self.scales, default=self.size)
        # How pictures are to be prepared for this localizer.
        self.viewing = replace(trained.preprocessing, size=side)
        self.precision = tf.as_dtype(precision)
        self._features = tf.function(self._run, autograph=False)

    def _run(self, inputs):
        logits, named = self.net(tf.cast(inputs, self.precision))
        return tf.nn.softmax(logits), named["features"]

    def __call__(self, inputs, choose):
        """What is seen in a batch: Seen.

        inputs  float32 [N, side, side, 3], prepared as `viewing` says
        choose  a function of the probabilities, [N, K], that gives each picture's classes, [N, k]
        """
        views = self._views(inputs)
        seen = [self._features(view) for view in views]
        probabilities = np.mean([chances.numpy() for chances, _ in seen], axis=0)
        classes = np.asarray(choose(probabilities), np.int32)
        maps = [self._class_maps(features, classes, view.shape[1]) for view, (_, features) in zip(views, seen)]
        side = (self.viewing.size,) * 2
        if len(maps) == 1 and not self.align:
            heat_maps = ops.heat_maps(seen[0][1], self.net.head.kernel, classes, side).numpy()
            return Seen(probabilities, classes, maps[0], heat_maps)
        merged = self._merge(maps)
        return Seen(probabilities, classes, merged, ops.normalise(ops.upsample(merged, side)))

    def _class_maps(self, features, classes, side):
        """One view's class maps, [N, k, h, w]; aligned ones as large as the view, but those of ten crops."""
        maps = ops.class_activation_maps(features, self.net.head.kernel, classes).numpy()
        return ops.upsample(maps, (side, side), self.net.grid) if self.align and self.crops != 10 else maps

    def _views(self, inputs):
        if self.crops == 10:
            return list(tf.unstack(ops.take_ten_crops(inputs, self.size), axis=1))
        views = [inputs]
        if self.scales:
            views = [tf.image.resize(inputs, [side, side], antialias=True) for side in self.scales]
        return views + [tf.reverse(view, [2]) for view in views] if self.crops == 2 else views

    def _merge(self, maps):
        if self.crops == 10:
            return ops.merge_ten_crops(np.stack(maps, axis=2), self.size, self.viewing.size,
                                       self.net.grid if self.align else None)
        if self.crops == 2:
            half = len(maps) // 2
            maps = [ops.merge_flips(plain, mirrored) for plain, mirrored in zip(maps[:half], maps[half:])]
        return maps[0] if len(maps) == 1 else ops.merge_scales(maps, max(m.shape[-2:] for m in maps))
