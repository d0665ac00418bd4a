"""What is found in one picture."""

import numpy as np

import ops
from cam_base import InputError
from cam_data import LARGEST_PICTURE
from ops.lazy import kept_property
from .boxes import RULES, to_picture
from .sources import describe, read


class Result:
    """One picture's classes: a sequence of Predictions.

    source   what was given: a path, an image, an array
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
        self._localizer, self._class_maps, self._colours = localizer, maps.maps, maps.colours

    @kept_property
    def _refined(self):
        """Of all classes at once: they share the picture's colours."""
        return self._localizer.refined(self._class_maps, self._colours)

    @kept_property
    def _input_heat_maps(self):
        """float32 [k, side, side]: of all classes at once, which takes less time than one by one."""
        return self._localizer.heat_maps(self._refined)

    @kept_property
    def _boxes(self):
        """{place: int [4]}, as `Prediction.box` says, of all that are left of the classes: together they take less time."""
        places, heat_maps, class_maps = [one._place for one in self.found], self._input_heat_maps, self._class_maps
        if len(places) < len(class_maps):
            heat_maps, class_maps = heat_maps[places], class_maps[places]
        return dict(zip(places, RULES[self._localizer.rule](heat_maps, class_maps, self.size, self._threshold).tolist()))

    @kept_property
    def picture(self):
        """uint8 [H, W, 3], upright RGB: what was kept of it, or read again; InputError for a file that was written over since."""
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
        height, width = self.picture.shape[:2]
        points = np.array(points)
        return points * np.tile([width / self.size[1], height / self.size[0]], points.shape[-1] // 2)

    def _repr_png_(self):
        return ops.encode_png(self.panels()) if self.found else None


class Prediction:
    """One class in one picture, and where it is. Boxes and points are pixels of the upright picture.

    number       of the class; label, wnid (None where there is none): its words
    probability  softmax, 0 to 1
    class_map    float32 [h, w], equation 2, unscaled
    threshold    of boxes, segments and mask, as a share of the heat map's maximum
    """

    def __init__(self, result, localizer, number, probability, place, threshold, full_size):
        self._result, self._localizer, self._full_size = result, localizer, full_size
        self.number, self.probability = number, probability
        self.wnid, self.label = localizer.classes[number]
        self._place, self.threshold = place, threshold

    @property
    def class_map(self):
        return self._result._class_maps[self._place]

    @property
    def _refined(self):
        return self._result._refined[self._place]

    @property
    def category(self):
        """The class as a Category: wnid and label."""
        return self._localizer.classes[self.number]

    @property
    def refined_map(self):
        """float32 [h', w'], unscaled: the class map as heat map and box are made of it, refined where the localizer refines."""
        return self._refined

    @property
    def name(self):
        """The first of the label's synonyms, and more where another class of the network is called so, too."""
        return self._localizer.names[self.number]

    @property
    def caption(self):
        """Name and probability, as they are written below a picture."""
        return f"{self.name} {self.probability:.0%}"

    @property
    def input_heat_map(self):
        """float32 [side, side] in [0, 1]: the class map as large as the network's input, from which the box is drawn."""
        return self._result._input_heat_maps[self._place]

    @kept_property
    def heat_map(self):
        """float32 in [0, 1]: as large as the picture where that was asked for (`full_size`), else the network's grid (that of the walk, where maps are refined)."""
        if self._full_size:
            return self.full_heat_map
        return self._localizer.scaled(self._refined)

    @kept_property
    def full_heat_map(self):
        """float32 [H, W] in [0, 1], as large as the picture."""
        return self._localizer.scaled(ops.upsample(self._refined, self._result.size))

    @kept_property
    def box(self):
        """(x0, y0, x1, y1), half-open: around the largest segment above the threshold (section 3.2), or as the localizer's rule says.

        The peak may lie outside the largest segment; the rule "peak" takes the one that holds it."""
        if self._localizer.rule != "authors" and self.threshold == self._result._threshold:
            return tuple(self._result._boxes[self._place])
        # The authors' take long: no others than this one.
        (box,) = RULES[self._localizer.rule](self.input_heat_map[None], self.class_map[None], self._result.size, self.threshold)
        return tuple(box.tolist())

    @kept_property
    def peak(self):
        """(x, y): the pixel where the heat map has its maximum."""
        y, x = np.unravel_index(self.input_heat_map.argmax(), self.input_heat_map.shape)
        return self._pixel(x, y)

    @kept_property
    def boxes(self):
        """Every segment above the threshold, largest first: `ops.Segment`s with box, area, peak and value."""
        height, width = self._result.size
        side = self._localizer.viewing.size
        cell = width * height / side ** 2
        return [ops.Segment(tuple(to_picture([one.box], (side, side), height, width)[0].tolist()),
                            max(1, round(one.area * cell)), self._pixel(*one.peak), one.value)
                for one in ops.segments(self.input_heat_map, self.threshold)]

    @kept_property
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

    def _pixel(self, x, y):
        """The picture's pixel under the middle of one of the input's."""
        height, width = self._result.size
        side = self._localizer.viewing.size
        return int((x + 0.5) * width / side), int((y + 0.5) * height / side)

    def _repr_png_(self):
        return ops.encode_png(self.overlay())

    def __repr__(self):
        return f"{self.name} {self.probability:.3f} {self.box}"
