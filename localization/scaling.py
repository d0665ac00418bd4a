"""How class maps become what is shown, and boxes: words and numbers alone, which a result keeps without its network."""

import numpy as np

import ops


class Scaling:
    """What a Localizer does to class maps: side is that of the prepared picture in pixels; scale, refine and the rule for boxes
    are as `Localizer` says."""

    def __init__(self, side, scale, refine, rule):
        self.side, self.scale, self.refine, self.rule = side, scale, refine, rule

    def refined(self, class_maps, colours=None):
        """What heat maps and boxes are made of, float32 [..., h', w']: class maps [..., h, w], without their negative
        values where the scale cuts these off, and spread along the picture's colours where `refine` says so."""
        maps = np.maximum(class_maps, 0) if self.scale == "max" else class_maps
        return ops.random_walk(maps, colours, self.refine) if self.refine and colours is not None else maps

    def heat_maps(self, refined):
        """float32 [..., side, side] in [0, 1]: refined maps [..., h, w] as large as the network's input."""
        return self.scaled(ops.upsample(refined, (self.side,) * 2))

    def scaled(self, class_maps):
        """float32 in [0, 1]: class maps [..., h, w] of any size, scaled."""
        return ops.normalise(class_maps, self.scale)
