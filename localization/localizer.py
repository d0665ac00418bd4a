"""A network that says where it sees its classes."""

import os
import threading
from dataclasses import replace
from typing import NamedTuple

import numpy as np

import ops
from cam_base import InputError, Preprocessing, classes_called, short_names
from cam_base.threads import grouped, in_order
from cam_data import LARGEST_PICTURE, prepare, prepare_centre_crop
from ops.quiet_tensorflow import refuse_fork, tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from weights.class_names import categories_of
from .boxes import RULES
from .methods import METHODS
from .one_logit import OneLogit
from .results import Result
from .scaling import Scaling
from .sources import describe, read, take
from .views import Views

BATCH = 32
# Threads that decode and prepare pictures: half of their time they wait for TensorFlow's, in which the network runs.
READERS = min(2 * (os.cpu_count() or 1), 32)
# Pixels of a side that are enough to draw, of a very large picture.
ENOUGH = 1920


class ClassMaps(NamedTuple):
    """What a batch shows: probabilities float32 [N, K]; classes int32 [N, k]; maps float32 [N, k, h, w], unscaled."""

    probabilities: np.ndarray
    classes: np.ndarray
    maps: np.ndarray


class PictureMaps(NamedTuple):
    """One picture's share of ClassMaps. Of one that cannot be read only the error.

    taken    the source as it was when it was taken, for `sources.read`
    kept     what was kept of its pixels for the caller
    state    of its file when it was read (`sources.Picture`)
    colours  uint8 [side, side, 3] for the refinement of its maps, where there is one
    """

    number: int
    source: object
    taken: object = None
    size: tuple | None = None
    kept: np.ndarray | None = None
    colours: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    classes: np.ndarray | None = None
    maps: np.ndarray | None = None
    error: Exception | None = None
    state: tuple | None = None


class Localizer(Scaling):
    """From a picture to its classes, where they are, and boxes.

        localizer = localization.load("resnet50-keras")
        for found in localizer("cat.jpg", top=3):
            print(found.label, found.probability, found.box)

    network        any callable that makes of float32 [N, size, size, 3] a pair (logits [N, K],
                   {"features": [N, h, w, C], ...}) and has head.kernel, [C, K]
    classes        K names, (wnid, words) pairs or Categories, in the order of the logits: a list, an array, or a dictionary of
                   names and numbers either way round. One logit is a sigmoid: that of the one class that is
                   named, or against the first of two
    preprocessing  Preprocessing, or its dictionary
    precision      "float32" or "bfloat16": in which the network computes
    crops, scales  views of a picture, see `Views`
    merge          of ten crops' maps: "authors", as the publication's did, or "smooth", without seams
    align          lay each cell of a map where the network (its `grid`) saw it
    method         a name in METHODS
    boxes          "paper" (section 3.2: the largest segment), "peak" (the segment that holds the peak)
                   or "authors" (the program that they released)
    scale          of heat maps: "min-max", or "max", which cuts negative values off (`ops.normalise`)
    refine         steps of a random walk along the picture's colours (`ops.random_walk`); 0: none
    refine_grid    pixels a side on which the walk goes
    threshold      of the paper's box, as a share of the map's maximum, in [0, 1)
    multi_label    probabilities are sigmoids, each of its own logit, not a softmax of all
    centre_crop    the network sees the part of a picture by which the weights' publisher judged it
                   (`cam_data.prepare_centre_crop`): for probabilities alone, its maps are of that part
    constant_weights  the network's variables never change: the graph for one picture at a time may hold their values, and is
                   up to twice as fast
    raises         ValueError for classes, a method, or a rule that make no sense

    A localizer may be called from several threads.
    """

    def __init__(self, network, classes, preprocessing, *, precision="float32", crops=1, scales=(), merge="authors",
                 align=False, method="cam", boxes="paper", scale="min-max", refine=0, refine_grid=56, threshold=0.2, multi_label=False, centre_crop=False,
                 constant_weights=False):
        refuse_other_modes()
        if isinstance(preprocessing, dict):
            preprocessing = Preprocessing.from_dict(preprocessing)
        for value, known, what in ((method, METHODS, "method"), (boxes, RULES, "rule for boxes"),
                                   (scale, ops.SCALES, "scale of maps"), (merge, ops.BLENDS, "way to merge crops")):
            if value not in known:
                raise ValueError(f"no {what} is called {value!r}; known are {', '.join(known)}")
        self.classes = categories_of(classes)
        self.names = short_names(self.classes)
        self.method, self.refine_grid = method, refine_grid
        self.threshold, self.centre_crop = check_threshold(threshold), bool(centre_crop)
        outputs = network.head.kernel.shape[-1]
        if outputs == 1 and len(self.classes) == 2 and not multi_label:
            network, outputs = OneLogit(network), 2
        self.network, self.multi_label = network, multi_label or outputs == 1
        if align and not hasattr(network, "grid"):
            raise ValueError("align needs a network that says where its cells lie, by grid(size), as those of `nets` do")
        if len(self.classes) != outputs:
            raise ValueError(f"{len(self.classes)} classes are named, and the network has {outputs} logit{'s' * (outputs > 1)}"
                             + (": one name, or two, the one that it speaks against first" if outputs == 1 else ""))
        self.views = Views(preprocessing.size, crops, scales, network.grid if align else None, merge)
        # How pictures are prepared for this localizer.
        self.viewing = replace(preprocessing, size=self.views.side)
        super().__init__(self.views.side, scale, refine, boxes)
        self.precision = tf.as_dtype(precision)
        self._constant_weights = constant_weights
        self._traced, self._tracing = {}, threading.Lock()
        to_input = prepare_centre_crop if centre_crop else prepare

        def prepared(pixels):
            with tf.device("CPU:0"):  # antialiased resizing has no kernel for GPUs: pixels would go there and back
                return to_input(pixels, self.viewing)

        self._prepared = tf.function(prepared, autograph=False).get_concrete_function(tf.TensorSpec([None, None, 3], tf.uint8))

    def __reduce__(self):
        raise TypeError("a Localizer cannot be pickled or copied, as its network computes in this process alone: load one in each process, "
                        "in the initializer= of a pool of multiprocessing.get_context('spawn'), say; results can be")

    # ------------------------------------------------------------ pictures in, results out

    def __call__(self, picture, top=3, classes=None, *, threshold=None, method=None, full_size=False):
        """The Result of one picture: a list of Predictions, most probable first, or in the order of `classes`.

        picture    a path, the bytes of a file, a file that is open for reading bytes, a PIL image, or an array: uint8, or float in
                   [0, 1]; [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]. RGB: OpenCV's arrays are BGR, and want `array[..., ::-1]`
        top        how many of the most probable classes
        classes    instead: names (a class may be called "281"), numbers, wnids; all classes that a name stands for
                   (`class_numbers`)
        threshold  instead of the localizer's own; method likewise
        full_size  heat maps as large as the picture, instead of the network's grid
        raises     InputError for a file that cannot be read or a class that is not known; ValueError
                   for an array that is no picture
        """
        (result,) = self.stream([picture], 1, top, classes, threshold=threshold, method=method, full_size=full_size)
        if result.error is not None:
            raise result.error
        return result

    def stream(self, pictures, batch=BATCH, top=3, classes=None, *, threshold=None, method=None, full_size=False,
               keep=None, largest=LARGEST_PICTURE, min_probability=0.0, ahead=None):
        """One Result for each picture, in order, while the next ones are being decoded and looked at. Memory is constant:
        of four batches at most, three that are looked at or waiting and one that is decoded.

        pictures  any iterable of what `localizer(...)` takes; it is read a little ahead. What it gives is copied when it is taken: it may
                  be one buffer that is filled again and again, or `PIL.ImageSequence.Iterator(image)`, the frames of a stack
        ahead     how many pictures, at most, are taken before an earlier one is answered. 0: none, for a live source; each is answered
                  before the next one is asked for, in a batch of its own. None: about four batches
        batch     how many pictures the network sees at once; the last batch is filled up
        keep      a function of a picture's pixels, uint8 [H, W, 3], to what Result.picture is to
                  be, computed while others are decoded; a very large picture's are fewer, at least 1920
                  a side. None: a file is read again when it is asked for, of others the copy is kept
        largest   most pixels of a picture
        min_probability  classes of which the network is less sure are left out; it may leave none
        others    as of `localizer(...)`. A picture that cannot be read has Result.error, and no classes
        """
        refuse_other_modes()
        if (isinstance(pictures, (str, os.PathLike, bytes, bytearray, memoryview)) or getattr(pictures, "ndim", 4) < 4
                or hasattr(pictures, "getexif") or hasattr(pictures, "readline")):
            raise ValueError("stream takes several pictures: a list of them, or an array [N, H, W, 3]; one is localizer(picture)'s"
                             + ", and its frames are PIL.ImageSequence.Iterator(image)'s" * (getattr(pictures, "n_frames", 1) > 1))
        numbers = None if classes is None else self.class_numbers(_listed(classes))
        count = min(_whole("top", top), len(self.classes))
        _whole("batch", batch)
        if ahead is not None:
            _whole("ahead", ahead, 0)
        if not 0 <= min_probability < 1:
            raise ValueError(f"min_probability is {min_probability}; it must be at least 0 and less than 1")
        threshold = self.threshold if threshold is None else check_threshold(threshold)
        if method not in (None, *METHODS):
            raise ValueError(f"no method is called {method!r}; known are {', '.join(METHODS)}")

        def choose(probabilities, _):
            if numbers is None:
                return top_classes(probabilities, count)
            return np.tile(np.array(numbers, np.int32), (len(probabilities), 1))

        return (Result(self, maps, threshold, full_size, min_probability, largest)
                for maps in self.class_maps_of(pictures, choose, batch, method, keep, largest, ahead))

    def class_numbers(self, names):
        """The numbers of the classes that numbers, wnids and names stand for. A name may stand for several (`cam_base.classes_called`:
        "cat" for all cats), of which those are left out that came before.

        Raises InputError for one that is not known.
        """
        numbers = []
        for name in names:
            called = classes_called(self.classes, name)
            numbers += called if len(called) == 1 else [number for number in called if number not in numbers]
        return numbers

    # ------------------------------------------------------------ the pipeline

    def class_maps_of(self, pictures, choose, batch=BATCH, method=None, keep=None, largest=LARGEST_PICTURE, ahead=None):
        """PictureMaps of each picture, in order: decoding, the network and the caller's work overlap.

        choose  a function of probabilities [n, K] and the pictures' numbers, int [n], to classes [n, k]
        others  as of `stream`
        """
        refuse_other_modes()

        def look(group):
            readable = [number for number, one in enumerate(group) if one[0].error is None]
            if not readable:
                return [one for one, _ in group]
            # One shape for compiled code: the batch is filled up with zeros.
            inputs = [group[number][1] for number in readable]
            inputs += [tf.zeros_like(inputs[0])] * (batch - len(readable))
            numbers = np.array([group[number][0].number for number in readable])
            found = self.class_maps(
                tf.stack(inputs), lambda chances: _filled(choose(chances[:len(numbers)], numbers), batch), method)
            results = [one for one, _ in group]
            for place, number in enumerate(readable):
                results[number] = results[number]._replace(
                    probabilities=found.probabilities[place], classes=found.classes[place], maps=found.maps[place])
            return results

        # Two at a time: while one batch is stacked, or its classes are chosen, the other's network has all cores; and one
        # more is ready, since none is begun while the caller works on what was found. A GPU's memory is for one.
        workers = groups = 1 if tf.config.list_physical_devices("GPU") else 2
        reading = batch + READERS
        if ahead is not None:
            batch = min(batch, ahead + 1)
            groups = min(groups, (ahead + 1) // batch - 1)
            reading = min(reading, ahead + 1 - (groups + 1) * batch)
        decoded = in_order(lambda one: self._decode(*one, keep, largest), _taken(pictures, largest), READERS, reading)
        for group in in_order(look, grouped(decoded, batch), workers, groups):
            yield from group

    def _decode(self, number, source, taken, keep, largest):
        """(PictureMaps without maps, the network's input)."""
        if isinstance(taken, ValueError):
            return PictureMaps(number, source, error=taken), None
        try:
            # A crop is cut out of the picture's own shape; the whole of it takes any.
            picture = read(taken, largest, max(2 * self.viewing.size, ENOUGH), keep_shape=self.centre_crop)
            kept = None if keep is None else keep(picture.pixels)
            colours = ops.walk_colours(picture.pixels, self.refine_grid) if self.refine else None
            return PictureMaps(number, source, taken, picture.size, kept, colours, state=picture.state), self._prepare(picture.pixels)
        except ValueError as error:  # of which InputError is one
            return PictureMaps(number, source, error=error), None
        except tf.errors.OpError as error:
            return PictureMaps(number, source, error=InputError(f"{describe(source)}: cannot be seen ({error.message[:100]})")), None

    def _prepare(self, pixels):
        """The network's input, float32 [side, side, 3], of uint8 [H, W, 3]."""
        with tf.device("CPU:0"):
            return self._prepared(tf.constant(pixels))

    def class_maps(self, inputs, choose, method=None):
        """ClassMaps of a batch.

        inputs  float32 [N, side, side, 3], prepared as `viewing` says
        choose  a function of the probabilities, [N, K], that gives each picture's classes, [N, k]
        """
        views, to_maps = self.views.take(inputs), METHODS[method or self.method]
        outputs = [self._look(view, getattr(to_maps, "needs", None)) for view in views]
        probabilities = np.mean([chances.numpy() for chances, _ in outputs], axis=0)
        classes = np.asarray(choose(probabilities), np.int32)
        maps = [np.asarray(to_maps(self.network, named, classes)) for _, named in outputs]
        return ClassMaps(probabilities, classes, self.views.merge(maps, [view.shape[1] for view in views]))

    def _look(self, view, needs=None):
        """What the network makes of one view, by the graph for its shape: TensorFlow warns of several under one name.

        needs  names of the intermediates that are wanted; None: all
        """
        wanted = tuple(view.shape), needs
        with self._tracing:
            if wanted not in self._traced:
                run = tf.function(lambda inputs: self._network(inputs, needs), autograph=False)
                run = run.get_concrete_function(tf.TensorSpec(view.shape, tf.float32))
                # oneDNN keeps constant kernels in the order that its fast convolutions take. Of many pictures that makes no difference.
                self._traced[wanted] = with_constant_weights(run) if self._constant_weights and view.shape[0] == 1 else run
        return self._traced[wanted](view)

    def _network(self, inputs, needs):
        logits, named = self.network(tf.cast(inputs, self.precision))
        probabilities = (tf.sigmoid if self.multi_label else tf.nn.softmax)(tf.cast(logits, tf.float32))
        return probabilities, {name: named[name] for name in (named if needs is None else needs)}


def refuse_other_modes():
    """RuntimeError where TensorFlow cannot compute for a localizer: in a forked process, or in a graph."""
    refuse_fork()
    if not tf.executing_eagerly():
        raise RuntimeError("TensorFlow builds a graph here instead of computing (tf.Graph, tf.function, or "
                           "tf.compat.v1.disable_eager_execution): localize outside of it, or in a process of its own")


def with_constant_weights(concrete):
    """A concrete function that computes the same, with the present values of its variables."""
    constant = convert_variables_to_constants_v2(concrete)
    return lambda *inputs: tf.nest.pack_sequence_as(concrete.structured_outputs, tf.nest.flatten(constant(*map(tf.convert_to_tensor, inputs))))


def top_classes(probabilities, count):
    """The `count` most probable classes, best first: [N, K] to [N, count]."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]


def check_threshold(threshold):
    if not isinstance(threshold, (int, float, np.integer, np.floating)) or not 0 <= threshold < 1:
        raise ValueError(f"threshold is {threshold!r}; it must be a number of at least 0 and less than 1")
    return float(threshold)


def _taken(pictures, largest):
    """(number, source, what `take` makes of it, or why it cannot), taken and copied by the thread that asks: the next picture may be
    the same object with other contents."""
    for number, source in enumerate(pictures):
        try:
            taken = take(source, largest)
        except ValueError as error:  # of which InputError is one
            taken = error
        yield number, source, taken


def _whole(name, value, least=1):
    if not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}")
    return int(value)


def _listed(classes):
    """A list of names, of a list or of one."""
    classes = [classes] if isinstance(classes, (str, int, np.integer)) else list(classes)
    if not classes:
        raise ValueError("classes is empty; leave it out for the most probable ones")
    return classes


def _filled(classes, batch):
    """[n, k] filled up with zeros to [batch, k]."""
    return np.pad(classes, [(0, batch - len(classes)), (0, 0)])
