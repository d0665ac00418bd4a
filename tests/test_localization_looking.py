"""How weights like to be looked with, refined maps, and all of the default's way on the sample photographs."""

import os

import numpy as np
import pytest

import localization
import nets
import ops
import weights
from cam_base import Category, InputError, Preprocessing
from localization.loading import from_weights
from weights import Weights
from weights.store import checked_looking

from coloured import CLASSES, SIDE, Colours

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "samples")
OWN = {"scale": "max", "refine": 20, "threshold": 0.4, "chosen_on": "some pictures"}
PLAIN = Preprocessing(size=SIDE, mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
CONFIG = {"name": "resnet", "depth": 26, "width": 8, "stem": "3x3/2", "output_stride": 16}


def trained(**looking):
    net = nets.build(CONFIG, 2)
    return Weights(CONFIG, {name: variable.numpy() for name, variable in nets.named_variables(net).items()},
                   [Category(None, "cat"), Category(None, "dog")], Preprocessing(size=32), {}, looking)


@pytest.mark.parametrize("looking, options, expected", [
    ({}, {}, ("min-max", 0, 56, 0.2)),
    (OWN, {}, ("max", 20, 56, 0.4)),
    (OWN, {"refine": 80, "refine_grid": 112}, ("max", 80, 112, 0.4)),  # refined all the same
    (OWN | {"refine_grid": 28}, {}, ("max", 20, 28, 0.4)),
    (OWN, {"refine": 0}, ("max", 0, 56, 0.2)),
    (OWN, {"scale": "min-max"}, ("min-max", 20, 56, 0.2)),
    (OWN, {"output_stride": 8}, ("max", 20, 56, 0.2)),
    (OWN | {"output_stride": 8}, {"output_stride": 8}, ("max", 20, 56, 0.4)),
    (OWN, {"output_stride": 16}, ("max", 20, 56, 0.4)),  # as it is without being asked
    (OWN, {"boxes": "authors"}, ("max", 0, 56, 0.2)), (OWN, {"boxes": "authors", "refine": 3}, ("max", 3, 56, 0.4)),
    (OWN, {"refine": 0, "threshold": 0.3}, ("max", 0, 56, 0.3)),
    (OWN, {"crops": 2}, ("max", 20, 56, 0.4)), (OWN, {"crops": 10}, ("max", 20, 56, 0.2)), (OWN, {"align": True}, ("max", 20, 56, 0.2)),
    (OWN, {"scales": [48]}, ("max", 20, 56, 0.2)), (OWN, {"scales": [48], "threshold": 0.3}, ("max", 20, 56, 0.3)),
    ({}, {"refine": 5}, ("min-max", 5, 56, 0.2))])
def test_a_threshold_of_the_weights_own_holds_for_their_own_way_of_looking(looking, options, expected):
    found = from_weights(trained(**looking), **options)
    assert (found.scale, found.refine, found.refine_grid, found.threshold) == expected


@pytest.mark.parametrize("value", [{"refine_grid": 7}, {"refine_grid": 513}, {"refine_grid": 56.0}, {"refine": -1}])
def test_a_file_that_likes_nonsense_is_refused(value):
    with pytest.raises(InputError, match=next(iter(value))):
        checked_looking(OWN | value)


def test_heat_maps_and_boxes_are_of_the_refined_map():
    rng = np.random.default_rng(0)
    picture = rng.integers(90, 130, (90, 120, 3), np.uint8)
    picture[20:70, 30:80] = 200, 30, 30
    for scale in ops.SCALES:
        localizer = localization.Localizer(Colours(), CLASSES, PLAIN, scale=scale, refine=7, refine_grid=40)
        found = localizer(picture, top=1)[0]
        of_the_scale = np.maximum(found.class_map, 0) if scale == "max" else found.class_map
        walked = ops.random_walk(of_the_scale[None], ops.walk_colours(picture, 40), 7)[0]
        np.testing.assert_allclose(found.heat_map, ops.normalise(walked, scale), atol=1e-6)
        large = ops.normalise(ops.upsample(walked, SIDE), scale)
        np.testing.assert_allclose(found.input_heat_map, large, atol=1e-6)
        box = ops.boxes_from_heat_maps(large[None], found.threshold)[0] * [120, 90, 120, 90] / SIDE
        assert np.abs(np.array(found.box) - box).max() <= 1


@pytest.mark.parametrize("name, number, probability, box", [
    ("chelsea", 285, 0.789, (17, 0, 397, 281)),
    ("china", 698, 0.189, (61, 100, 549, 390)),
    ("coffee", 967, 0.705, (158, 33, 468, 367)),
    ("hopper", 652, 0.507, (23, 0, 512, 600))])
def test_the_default_sees_the_sample_photographs_as_it_did(default, name, number, probability, box):
    found = default(os.path.join(SAMPLES, f"{name}.jpg"), top=1)[0]
    assert found.number == number and abs(found.probability - probability) < 0.01
    assert np.abs(np.subtract(found.box, box)).max() <= 4


@pytest.fixture(scope="module")
def default():
    return localization.load()


def test_the_default_is_as_its_weights_say(default):
    looking = weights.load(weights.resolve(None)).looking
    assert looking == {"scale": "max", "refine": 20, "threshold": 0.38,
                       "chosen_on": "400 pictures of ILSVRC's validation set"}
    assert (default.scale, default.refine, default.threshold) == ("max", 20, 0.38)
