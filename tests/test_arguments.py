"""Whatever is given to ops and metrics, they answer, or raise a ValueError that names an argument."""

import re
import warnings

import numpy as np
import pytest
import tensorflow as tf

import metrics
import ops
from metrics import bootstrap, intervals
from metrics.areas import area_under_curve
from metrics.max_box_acc import best_threshold

RNG = np.random.default_rng(0)
MAP, MAPS, BOXES = RNG.random((6, 7)), RNG.random((2, 6, 7)), np.array([[0, 0, 2, 2], [1, 1, 3, 3]])
MASK, RIGHT, PICTURE = MAP > 0.5, np.array([[0, 1, 1, 1, 1]] * 2, bool), np.zeros((6, 7, 3), np.uint8)
SEGMENT = ops.Segment((0, 0, 3, 3), 9, (1, 1), 1.0)
FEATURES, KERNEL = RNG.random((2, 3, 3, 4)).astype(np.float32), RNG.random((4, 5)).astype(np.float32)
LEVELS, MEAN = metrics.level_boxes(MAP), bootstrap.mean_of([1.0, 2.0])


def added(metric):
    """The figure of one picture, as a function."""
    def judge(thresholds, **picture):
        judged = metric(thresholds)
        judged.add(*picture.values())
        return judged.result()

    return judge


# Of every public function: arguments that it takes.
GOOD = {
    ops.author_boxes: {"heat_map": MAP, "thresholds": [20, 100]},
    ops.boxes_from_heat_maps: {"heat_maps": MAPS, "threshold": 0.2, "segment": "peak"},
    ops.class_activation_maps: {"features": FEATURES, "kernel": KERNEL, "classes": [[0, 1], [2, 3]]},
    ops.captioned: {"picture": PICTURE, "caption": "a"},
    ops.draw_segments: {"picture": PICTURE, "segments": [SEGMENT]},
    ops.draw_box: {"picture": PICTURE, "box": [0, 0, 3.5, 3]},
    ops.encode_jpeg: {"picture": PICTURE, "quality": 80, "comment": "a"},
    ops.encode_png: {"picture": PICTURE, "comment": "a"},
    ops.gap: {"features": FEATURES},
    ops.gmp: {"features": FEATURES},
    ops.heat_maps: {"features": FEATURES, "kernel": KERNEL, "classes": [[0, 1], [2, 3]], "size": (5, 6)},
    ops.iou: {"a": BOXES, "b": BOXES},
    ops.merge_flips: {"maps": MAPS, "mirrored_maps": MAPS},
    ops.merge_scales: {"maps": [MAPS, MAPS], "size": (5, 6)},
    ops.merge_ten_crops: {"maps": RNG.random((10, 3, 3)), "crop_size": 6, "frame": 8, "grid": (1, 2), "order": "rows",
                          "blend": "smooth"},
    ops.normalise: {"maps": MAPS, "scale": "max"},
    ops.overlay: {"picture": PICTURE, "heat_map": MAP, "opacity": 0.5, "colour_map": "jet"},
    ops.panel: {"picture": PICTURE},
    ops.panels: {"picture": PICTURE, "heat_maps": [MAP], "boxes": [[0, 0, 3, 3]], "captions": ["a"], "opacity": 0.5,
                 "colour_map": "jet", "segments": [[SEGMENT]], "true_boxes": [[1, 1, 4, 4]]},
    ops.strip: {"picture": PICTURE, "heat_maps": [MAP], "boxes": [[0, 0, 3, 3]], "captions": ["a"], "opacity": 0.5,
                "colour_map": "jet", "segments": [[SEGMENT]], "true_boxes": [[1, 1, 4, 4]]},
    ops.random_walk: {"maps": MAPS, "colours": np.zeros((9, 9, 3), np.uint8), "steps": 2, "deviation": 0.05},
    ops.resize_bicubic: {"maps": MAPS, "size": (5, 6), "a": -0.5},
    ops.resize_nearest: {"masks": MASK, "size": (5, 6)},
    ops.segments: {"heat_map": MAP, "threshold": 0.2},
    ops.take_ten_crops: {"pictures": RNG.random((1, 8, 8, 3)), "crop_size": 6},
    ops.ten_crops: {"crop_size": 6, "frame": 8, "order": "columns"},
    ops.walk_colours: {"picture": PICTURE, "side": 9},
    ops.upsample: {"maps": MAPS, "size": (5, 6), "grid": (1, 2)},
    added(metrics.MaxBoxAcc): {"thresholds": [0, 0.5], "class_map": MAP, "true_boxes": BOXES, "size": (6, 7)},
    added(metrics.MaxBoxAccV2): {"thresholds": [0, 0.5], "class_map": LEVELS, "true_boxes": BOXES},
    added(metrics.PxAP): {"thresholds": [0, 0.5], "score_map": MAP, "mask": MASK, "ignore": MASK},
    metrics.centre_box_baseline: {"boxes": [BOXES], "sizes": [[4, 4]], "least_iou": 0.5},
    metrics.ilsvrc_errors: {"right": RIGHT, "located": RIGHT, "excluded": [1], "counts": np.ones((1, 2))},
    metrics.evaluate_guesses: {"classes": [[1, 2]], "boxes": [BOXES], "true_classes": [1], "true_boxes": [BOXES]},
    metrics.level_boxes: {"score_map": MAP},
    metrics.scale_boxes: {"boxes": BOXES, "picture_size": (6, 6), "size": 8},
    metrics.score_map: {"class_map": MAP, "size": 8},
    LEVELS.levels_of: {"thresholds": [0, 0.5]},
    area_under_curve: {"histograms": [[1, 2], [3, 4]]},
    best_threshold: {"hits": RIGHT, "thresholds": [0, 0.1, 0.2, 0.3, 0.4]},
    bootstrap.best_accuracy_of: {"hits": RIGHT},
    bootstrap.bootstrap: {"statistic": MEAN, "pictures": 2, "resamples": 3, "seed": 0},
    intervals.compare: {"a": MEAN, "b": MEAN, "pictures": 2, "resamples": 3, "seed": 0},
    bootstrap.interval: {"samples": [1.0, 2.0, 3.0], "level": 0.9},
    intervals.interval_of: {"statistic": MEAN, "pictures": 2, "resamples": 3, "seed": 0},
    intervals.wilson: {"share": 0.5, "pictures": 2},
    bootstrap.mean_of: {"values": [1.0, 2.0]},
    bootstrap.pxap_of: {"histograms": np.ones((2, 3, 4))},
}
COMPILED = ops.class_activation_maps, ops.heat_maps, ops.random_walk  # by XLA for each shape: they are tried with less
ODD = [None, 0, -1, 5, 2.5, 10**30, True, 1j, np.nan, np.inf, "x", "55", b"x", object(), [], (), {}, [None], ["a", "b"],
       [[1], [1, 2]], (0, 5), (5, -5), (2.5, 3), (3, 4, 5), [20, 300], [-1], [9], [0.5, 0.2], [np.nan], range(3),
       np.zeros(0), np.zeros((2, 0, 3)), np.zeros((0, 4)), np.zeros(3), np.array(3.0), np.array("a"),
       np.array([object()]), np.longdouble("1e4000"), lambda x: x, tf.constant([1.0, 2.0]), tf.constant("a")]


def altered(good):
    """Arrays that are almost what is wanted."""
    array = np.asarray(good)
    yield from (array.astype(object), array.astype(complex), array.astype(str), array[None], array[:0], array[..., :0])
    yield from (array[:-1], array[..., :-1], np.moveaxis(array, 0, -1), array.tolist(), tf.constant(array))
    for value in (np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, 3e38):
        one = array.astype(np.float64)
        one.flat[0] = value
        yield from (one, np.full(array.shape, value))
    for value in (-1, 255, 10**9):
        one = array.astype(np.int64)
        one.flat[0] = value
        yield one


def tried(call, name, good):
    numbers = isinstance(good, (list, tuple, np.ndarray)) and name not in ("captions", "segments") and good is not LEVELS
    if call not in COMPILED:
        return ODD + (list(altered(good)) if numbers else [])
    return ODD + ([] if name == "size" else [np.asarray(good).astype(object), np.asarray(good)[None]])


def test_every_public_function_is_tried():
    with open(ops.__file__, encoding="utf-8") as file:
        exported = set(" ".join(re.findall(r'"\w+": "([\w ]+)"', file.read())).split())
    exported |= {name for name, value in vars(metrics).items() if callable(value)}
    assert {"iou", "overlay", "score_map"} < exported
    assert exported - {call.__name__ for call in GOOD} == {
        "MaxBoxAcc", "MaxBoxAccV2", "PxAP", "Metric", "ScoreMap", "Segment", "SCALES", "BLENDS"}  # the first three by `added`


@pytest.mark.parametrize("call, argument", [(call, name) for call, arguments in GOOD.items() for name in arguments],
                         ids=lambda value: getattr(value, "__name__", value))
def test_what_cannot_be_taken_is_a_value_error_that_names_an_argument(call, argument):
    good = GOOD[call]
    call(**good)
    for value in tried(call, argument, good[argument]):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # a number that overflows is no answer
            try:
                call(**good | {argument: value})
            except ValueError as error:
                assert any(re.search(rf"(^|\W){name}(\W|$)", str(error)) for name in good) or "no pictures" in str(error), value
                assert "\n" not in str(error), value


@pytest.mark.parametrize("call, argument, value", [
    (ops.upsample, "size", 5), (ops.resize_bicubic, "size", 5), (ops.resize_nearest, "size", 5),
    (ops.merge_scales, "size", 5), (ops.heat_maps, "size", 5), (metrics.scale_boxes, "picture_size", 6)])
def test_one_number_is_a_square(call, argument, value):
    one, two = (call(**GOOD[call] | {argument: given}) for given in (value, (value, value)))
    np.testing.assert_array_equal(one, two)
