"""What is drawn anew for every picture that is trained on: crops are in tests/test_data_pipeline.py."""

import numpy as np
import pytest
import tensorflow as tf

from cam_base import Preprocessing
from cam_data.augmentation import GREYS, Augmentation, augment

SIDE, TRIES = 32, 60
PLAIN = Preprocessing(size=SIDE, scale=1.0, mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
PICTURE = np.random.default_rng(0).uniform(40, 215, (SIDE, SIDE, 3)).astype(np.float32)


def seen(picture=PICTURE, preprocessing=PLAIN, tries=TRIES, **changes):
    change = tf.function(lambda seed: augment(tf.constant(picture), tf.shape(picture)[:2], seed, preprocessing, Augmentation(**changes)))
    return np.stack([change(tf.constant([7, row], tf.int64)) for row in range(tries)])


def upright(picture):
    """The picture or its mirror image: whichever PICTURE is nearer to."""
    return min(picture, picture[:, ::-1], key=lambda one: np.abs(one - PICTURE).sum())


def test_without_a_crop_it_is_the_picture_or_its_mirror_image():
    found = seen(crop="none")
    mirrored = [np.array_equal(one, PICTURE[:, ::-1]) for one in found]
    assert all(mirror or np.array_equal(one, PICTURE) for one, mirror in zip(found, mirrored)) and 18 <= sum(mirrored) <= 42


def test_no_picture_is_mirrored_where_that_is_asked_for():
    assert all(np.array_equal(one, PICTURE) for one in seen(crop="none", mirror=False))


def test_a_padded_crop_is_a_shift_by_an_eighth_at_most_with_the_border_reflected():
    padded = np.pad(PICTURE, ((4, 4), (4, 4), (0, 0)), "reflect")
    shifts = {(y, x): padded[y:y + SIDE, x:x + SIDE] for y in range(9) for x in range(9)}
    found = [[shift for shift, wanted in shifts.items() if np.array_equal(one, wanted) or np.array_equal(one, wanted[:, ::-1])]
             for one in seen(crop="padded")]
    assert all(len(one) == 1 for one in found)
    ys, xs = zip(*(one[0] for one in found))
    assert (min(ys), max(ys)) == (min(xs), max(xs)) == (0, 8)


def test_cutout_hides_a_square_whose_middle_is_any_pixel():
    hidden = np.stack([(one == 0).all(-1) for one in seen(crop="none", cutout=0.5)])
    heights, widths = hidden.any(2).sum(1), hidden.any(1).sum(1)
    assert (hidden.sum((1, 2)) == heights * widths).all() and max(heights) == max(widths) == 16
    assert min(heights) >= 8 and min(heights) < 12  # half of it may lie outside
    # 0 is the mean colour.
    normalised = seen(preprocessing=Preprocessing(size=SIDE), tries=1, crop="none", cutout=0.5)[0]
    assert (normalised == 0).all(-1).sum() == hidden[0].sum()


def test_jitter_multiplies_brightness_saturation_and_contrast():
    greys = np.array(GREYS)
    factors = []
    for one in map(upright, seen(crop="none", jitter=0.1)):
        assert ((one >= 0) & (one <= 255)).all()
        grey, own = one @ greys, PICTURE @ greys
        brightness = grey.mean() / own.mean()
        contrast = (grey - grey.mean()).std() / (own - own.mean()).std() / brightness
        colour = np.sum((one - grey[..., None]) * (PICTURE - own[..., None])) / np.sum((PICTURE - own[..., None]) ** 2)
        factors.append([brightness, contrast, colour / brightness / contrast])
    low, high = np.min(factors, 0), np.max(factors, 0)
    np.testing.assert_allclose(low, 0.9, atol=0.015)
    np.testing.assert_allclose(high, 1.1, atol=0.015)


@pytest.mark.parametrize("change", [{"crop": "padded"}, {"jitter": 0.3}, {"cutout": 0.5}])
def test_the_seed_decides_all_of_it(change):
    np.testing.assert_array_equal(seen(tries=3, **change), seen(tries=3, **change))
