"""Pixels to network input, against Pillow (which torchvision and Keras resize with) and arithmetic by hand."""

import numpy as np
import pytest
from PIL import Image

from cam_base import Preprocessing
from cam_data import prepare, prepare_centre_crop

PLAIN = {"scale": 1.0, "mean": (0, 0, 0), "deviation": (1, 1, 1)}
# Pillow rounds to whole numbers, and cuts off at 0 and 255, once for each axis.
BY_PILLOW = {"bilinear": (Image.BILINEAR, 1.6), "bicubic": (Image.BICUBIC, 8), "nearest": (Image.NEAREST, 1e-3)}


def picture(height, width):
    """Smooth and rough at once, as photographs are."""
    rng = np.random.default_rng(height * 1000 + width)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).resize((width, height), Image.BILINEAR)
    return np.clip(np.asarray(coarse) + rng.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)


def assert_like_pillow(found, wanted, tolerance):
    assert found.dtype == np.float32 and found.shape == wanted.shape
    difference = np.abs(np.clip(found, 0, 255) - wanted)
    assert difference.max() < tolerance and difference.mean() < 0.4


@pytest.mark.parametrize("interpolation", BY_PILLOW)
@pytest.mark.parametrize("height, width", [(65, 63), (149, 97), (31, 201), (19, 15), (1, 1)])
def test_the_whole_picture_is_resized_as_pillow_does(interpolation, height, width):
    pixels = picture(height, width)
    # With odd sizes no position of "nearest" lies between two pixels, where rounding decides.
    found = prepare(pixels, Preprocessing(size=56, interpolation=interpolation, **PLAIN)).numpy()
    resample, tolerance = BY_PILLOW[interpolation]
    assert_like_pillow(found, np.asarray(Image.fromarray(pixels).resize((56, 56), resample)), tolerance)


def test_without_antialias_four_neighbours_are_mixed():
    pixels = picture(40, 60)
    found = prepare(pixels, Preprocessing(size=10, antialias=False, **PLAIN)).numpy()
    # Each output pixel's centre lies at the corner of four pixels: row 4 y + 1.5, column 6 x + 2.5.
    wanted = sum(pixels[1 + dy::4, 2 + dx::6].astype(float) for dy in (0, 1) for dx in (0, 1)) / 4
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("interpolation", BY_PILLOW)
def test_a_picture_of_the_networks_size_is_left_as_it_is(interpolation):
    pixels = picture(56, 56)
    prepared = prepare(pixels, Preprocessing(size=56, interpolation=interpolation, **PLAIN)).numpy()
    assert prepared.dtype == np.float32
    np.testing.assert_array_equal(prepared, pixels)


def test_a_picture_with_one_side_of_the_networks_is_resized_along_the_other():
    pixels = picture(56, 90)
    found = prepare(pixels, Preprocessing(size=56, **PLAIN)).numpy()
    assert_like_pillow(found, np.asarray(Image.fromarray(pixels).resize((56, 56), Image.BILINEAR)), 1.6)


@pytest.mark.parametrize("channels, expected", [("RGB", [(0.2 - 0.1) / 0.5, (0.4 - 0.2) / 0.25, (1 - 0.3) / 0.125]),
                                                ("BGR", [(1 - 0.1) / 0.5, (0.4 - 0.2) / 0.25, (0.2 - 0.3) / 0.125])])
def test_scale_mean_and_deviation_by_hand(channels, expected):
    pixels = np.full((9, 12, 3), (51, 102, 255), np.uint8)
    preprocessing = Preprocessing(size=8, channels=channels, mean=(0.1, 0.2, 0.3), deviation=(0.5, 0.25, 0.125))
    for prepared in (prepare(pixels, preprocessing), prepare_centre_crop(pixels, preprocessing)):
        np.testing.assert_allclose(prepared, np.broadcast_to(expected, (8, 8, 3)), rtol=1e-5)


def torchvisions_centre_crop(pixels, shorter, size):
    """torchvision.transforms.Resize(shorter), CenterCrop(size) on a Pillow picture."""
    height, width = pixels.shape[:2]
    if height <= width:
        resized = shorter, int(shorter * width / height)
    else:
        resized = int(shorter * height / width), shorter
    image = np.asarray(Image.fromarray(pixels).resize(resized[::-1], Image.BILINEAR))
    top, left = (int(round((side - size) / 2.0)) for side in resized)
    return image[top:top + size, left:left + size]


@pytest.mark.parametrize("height, width", [(100, 100), (75, 100), (100, 75), (97, 61), (33, 200), (201, 67), (64, 65)])
@pytest.mark.parametrize("shorter, size", [(64, 56), (63, 56), (56, 56)])
def test_the_centre_crop_is_torchvisions(height, width, shorter, size):
    pixels = picture(height, width)
    found = prepare_centre_crop(pixels, Preprocessing(size=size, centre_crop=shorter, **PLAIN)).numpy()
    assert found.shape == (size, size, 3)
    assert_like_pillow(found, torchvisions_centre_crop(pixels, shorter, size), 1.6)


def test_without_a_centre_crop_the_whole_picture_is_seen():
    pixels = picture(30, 70)
    preprocessing = Preprocessing(size=56)
    np.testing.assert_array_equal(prepare_centre_crop(pixels, preprocessing), prepare(pixels, preprocessing))
