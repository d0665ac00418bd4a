"""What is found in one picture."""

import os

import numpy as np

import ops
from cam_base import InputError
from cam_data import LARGEST_PICTURE
from ops.lazy import kept_property
from .boxes import RULES, to_picture
from .scaling import Scaling
from .sources import describe, read


class Result:
    """One picture's classes: a sequence of Predictions. It can be kept and pickled: it holds words and small arrays, no network.

    source   what was given: a path, an image, an array; behind a pickle, of all but a path, its pixels or its file's bytes
    size     (height, width) of the upright picture; None when it could not be read
    error    None, or the exception that says why it could not be read
    """

    def __init__(self, localizer, maps, threshold, full_size=False, least=0.0, largest=LARGEST_PICTURE):
        self.source, self.size, self.error = maps.source, maps.size, maps.error
        self._taken, self._kept, self._state = maps.taken, maps.kept, maps.state
        self._largest, self._threshold = largest, threshold
        self.found = [] if maps.error is not None else [
            Prediction(self, localizer, number, float(maps.probabilities[number]), place, threshold, full_size)
            for place, number in enumerate(maps.classes.tolist()) if maps.probabilities[number] >= least]
        # Copies: a part of its batch's array would keep all of that.
        self._class_maps, self._colours = np.array(maps.maps), maps.colours
        self._scaling = Scaling(localizer.side, localizer.scale, localizer.refine, localizer.rule)

    def __getstate__(self):
        """What is pickled: of a source that is no path what was taken of it, since an open file cannot be."""
        by_path = isinstance(self.source, (str, os.PathLike))
        return self.__dict__ | ({} if by_path else {"source": describe(self.source) if self._taken is None else self._taken})

    @kept_property
    def _refined(self):
        """Of all classes at once: they share the picture's colours."""
        return self._scaling.refined(self._class_maps, self._colours)

    @kept_property
    def _located(self):
        """{place: (box, peak)}, as a Prediction has them, of all that are left of the classes: together they take less time.

        The heat maps are not kept, as they are large and made again in less than a millisecond. The authors' boxes are None:
        they take long, and no others are made than those that are asked for."""
        places = [one._place for one in self.found]
        heat_maps, rule = self._scaling.heat_maps(self._refined[places]), self._scaling.rule
        boxes = [None] * len(places) if rule == "authors" else map(tuple, RULES[rule](
            heat_maps, self._class_maps[places], self.size, self._threshold).tolist())
        peaks = [self._pixel(*np.unravel_index(one.argmax(), one.shape)[::-1]) for one in heat_maps]
        return dict(zip(places, zip(boxes, peaks)))

    def _pixel(self, x, y):
        """The picture's pixel under the middle of one of the input's."""
        (height, width), side = self.size, self._scaling.side
        return int((x + 0.5) * width / side), int((y + 0.5) * height / side)

    @property
    def picture(self):
        """uint8 [H, W, 3], upright RGB: what was kept of it, or read again each time; InputError for a file that was written over since."""
        if self._kept is not None:
            return self._kept
        again = read(self._taken, self._largest)
        if again.state != self._state:
            raise InputError(f"{describe(self.source)}: was written over since it was looked at, so what was found is of another picture: "
                             "look at it again")
        return again.pixels

    def __iter__(self):
        return iter(self.found)

    def __len__(self):
        return len(self.found)

    def __getitem__(self, number):
        return self.found[number]

    def __repr__(self):
        what = ", ".join(map(str, self.found)) if self.error is None else self.error
        return f"Result({describe(self.source)}: {what})"

    def panels(self, opacity=0.5, colour_map="jet", all_boxes=False, box=True, caption=True):
        """uint8 [h, w, 3]: the picture, and beside it each class's heat map, box and caption.

        all_boxes     also every other segment's box, and each segment's peak
        box, caption  whether these are drawn
        """
        return np.asarray(self.strip(opacity, colour_map, all_boxes, box, caption))

    def strip(self, opacity=0.5, colour_map="jet", all_boxes=False, box=True, caption=True):
        """The same as an image of Pillow."""
        return ops.strip(self.picture, [one.input_heat_map for one in self.found],
                         self.in_picture([one.box for one in self.found]) if box else None,
                         [one.caption for one in self.found] if caption else None, opacity, colour_map,
                         [one.segments_in_picture() for one in self.found] if all_boxes else None)

    def in_picture(self, points):
        """Boxes, or points, in pixels of `picture`, which may show the whole one smaller: float [..., 4], or [..., 2]."""
        height, width = self.size if self._kept is None else self._kept.shape[:2]
        points = np.array(points)
        return points * np.tile([width / self.size[1], height / self.size[0]], points.shape[-1] // 2)

    def _repr_png_(self):
        return ops.encode_png(self.panels()) if self.found else None


class Prediction:
    """One class in one picture, and where it is. Boxes and points are pixels of the upright picture.

    number       of the class; label, wnid (None where there is none): its words; category: both
    name         the first of the label's synonyms, and more where another class of the network is called so, too
    probability  softmax or, of several labels and of one logit, sigmoid, 0 to 1
    class_map    float32 [h, w], equation 2, unscaled
    threshold    of boxes, segments and mask, as a share of the heat map's maximum
    """

    def __init__(self, result, localizer, number, probability, place, threshold, full_size):
        self._result, self._full_size = result, full_size
        self.number, self.probability, self.name = number, probability, localizer.names[number]
        self.wnid, self.label = self.category = localizer.classes[number]
        self._place, self.threshold = place, threshold

    @property
    def class_map(self):
        return self._result._class_maps[self._place]

    @property
    def _refined(self):
        return self._result._refined[self._place]

    @property
    def refined_map(self):
        """float32 [h', w'], unscaled: the class map as heat map and box are made of it, refined where the localizer refines."""
        return self._refined

    @property
    def caption(self):
        """Name and probability, as they are written below a picture."""
        return f"{self.name} {self.probability:.0%}"

    @property
    def input_heat_map(self):
        """float32 [side, side] in [0, 1]: the class map as large as the network's input, from which the box is drawn."""
        return self._result._scaling.heat_maps(self._refined)

    @property
    def heat_map(self):
        """float32 in [0, 1]: as large as the picture where that was asked for (`full_size`), else the network's grid (that of the
        walk, where maps are refined). This, the larger maps and the mask are made anew each time: a result that is kept is small."""
        if self._full_size:
            return self.full_heat_map
        return self._result._scaling.scaled(self._refined)

    @property
    def full_heat_map(self):
        """float32 [H, W] in [0, 1], as large as the picture."""
        return self._result._scaling.scaled(ops.upsample(self._refined, self._result.size))

    @kept_property
    def box(self):
        """(x0, y0, x1, y1), half-open: around the largest segment above the threshold (section 3.2), or as the localizer's rule says.

        The peak may lie outside the largest segment; the rule "peak" takes the one that holds it."""
        box, _ = self._result._located[self._place]
        if box is not None and self.threshold == self._result._threshold:
            return box
        rule = RULES[self._result._scaling.rule]
        return tuple(rule(self.input_heat_map[None], self.class_map[None], self._result.size, self.threshold)[0].tolist())

    @property
    def peak(self):
        """(x, y): the pixel where the heat map has its maximum."""
        return self._result._located[self._place][1]

    @kept_property
    def boxes(self):
        """Every segment above the threshold, largest first: `ops.Segment`s with box, area, peak and value."""
        height, width = self._result.size
        side, pixel = self._result._scaling.side, self._result._pixel
        cell = width * height / side ** 2
        return [ops.Segment(tuple(to_picture([one.box], (side, side), height, width)[0].tolist()),
                            max(1, round(one.area * cell)), pixel(*one.peak), one.value)
                for one in ops.segments(self.input_heat_map, self.threshold)]

    @property
    def mask(self):
        """bool [H, W], as large as the picture: where the heat map is above the threshold."""
        heat_map = self.full_heat_map
        return heat_map > self.threshold * heat_map.max()

    def overlay(self, opacity=0.5, colour_map="jet", all_boxes=False, box=True):
        """uint8 [H, W, 3]: the picture with the heat map over it and the box around it; `all_boxes` and `box` as of `Result.panels`."""
        over = ops.overlay(self._result.picture, self.input_heat_map, opacity, colour_map)
        if all_boxes:
            over = ops.draw_segments(over, self.segments_in_picture())
        return ops.draw_box(over, self._result.in_picture(self.box)) if box else over

    def segments_in_picture(self):
        """`boxes`, in pixels of the result's `picture`."""
        shown = self._result.in_picture
        return [one._replace(box=tuple(shown(one.box)), peak=tuple(shown(one.peak))) for one in self.boxes]

    def _repr_png_(self):
        return ops.encode_png(self.overlay())

    def __repr__(self):
        return f"{self.name} {self.probability:.3f} {self.box}"
