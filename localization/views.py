"""Several views of a prepared picture whose maps become one: ten crops, the mirror image, scales."""

import numpy as np

import ops
from ops.quiet_tensorflow import tf

# The paper resizes to 256 pixels what it crops to 224.
FRAME_OVER_CROP = 256 / 224


class Views:
    """How often, and at which sizes, a picture is seen.

    size    side of the network's input in pixels
    crops   1: the whole picture; 2: and its mirror image; 10: the paper's ten crops
    scales  sides at which the whole picture is seen, instead of `size`
    grid    None, or a function of an input's side that says where a map's cells lie in it
            (`ops.upsample`): maps are laid there
    merge   of ten crops' maps, see `blend` of `ops.merge_ten_crops`

    `side` is that of the prepared picture from which the views are taken.
    """

    def __init__(self, size, crops=1, scales=(), grid=None, merge="authors"):
        self.size, self.crops, self.scales, self.grid, self.blend = size, crops, tuple(scales), grid, merge
        self.side = round(size * FRAME_OVER_CROP) if crops == 10 else max(self.scales, default=size)

    def take(self, inputs):
        """float32 [N, side, side, 3] to a list of [N, s, s, 3]."""
        if self.crops == 10:
            return list(tf.unstack(ops.take_ten_crops(inputs, self.size), axis=1))
        views = [inputs]
        if self.scales:
            with tf.device("CPU:0"):  # where resizing with antialiasing has its kernel
                views = [tf.image.resize(inputs, [side, side], antialias=True) for side in self.scales]
        return views + [tf.reverse(view, [2]) for view in views] if self.crops == 2 else views

    def merge(self, maps, sides):
        """One map out of the views': a list of [N, k, h, w], NumPy, and each view's side, to [N, k, h', w']."""
        if self.crops == 10:
            return ops.merge_ten_crops(np.stack(maps, axis=2), self.size, self.side, self.grid and self.grid(self.size),
                                       blend=self.blend)
        if self.grid is not None:
            maps = [ops.upsample(some, (side, side), self.grid(side)) for some, side in zip(maps, sides)]
        if self.crops == 2:
            half = len(maps) // 2
            maps = [ops.merge_flips(plain, mirrored) for plain, mirrored in zip(maps[:half], maps[half:])]
        return maps[0] if len(maps) == 1 else ops.merge_scales(maps, max(some.shape[-2:] for some in maps))
