import matplotlib
import numpy as np
import pytest

from ops import overlay, panels, upsample

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def test_opacity_runs_from_the_picture_to_the_colours():
    heat = np.linspace(0, 1, 48).reshape(6, 8)
    np.testing.assert_array_equal(overlay(PICTURE, heat, opacity=0), PICTURE)
    colours = matplotlib.colormaps["jet"](np.rint(heat * 255).astype(int))[..., :3] * 255
    np.testing.assert_allclose(overlay(PICTURE, heat, opacity=1), colours, atol=0.51)
    half = overlay(PICTURE, heat)
    assert half.dtype == np.uint8 and half.shape == PICTURE.shape
    np.testing.assert_allclose(half, (PICTURE + np.rint(colours)) / 2, atol=0.51)


def test_cold_is_blue_and_hot_is_red():
    cold, hot = overlay(np.zeros((1, 2, 3), np.uint8), [[0, 1]], opacity=1)[0]
    assert cold.argmax() == 2 and hot.argmax() == 0


def test_a_heat_map_may_lie_in_memory_as_it_will():
    picture, heat = np.zeros((6, 8, 3), np.uint8), np.random.default_rng(0).random((8, 6), np.float32).T
    np.testing.assert_array_equal(overlay(picture, heat), overlay(picture, heat.copy()))
    np.testing.assert_array_equal(*(panels(picture, [one], [[0, 0, 3, 3]], ["a"]) for one in (heat, heat.copy())))


def test_a_small_heat_map_is_upsampled_to_the_picture():
    heat = np.random.default_rng(1).random((2, 3))
    np.testing.assert_array_equal(overlay(PICTURE, heat), overlay(PICTURE, upsample(heat, (6, 8))))


def test_rounding_beyond_the_range_is_forgiven():
    # An interpolated map whose weights sum to a little more than one.
    heat = np.full((6, 8), np.nextafter(np.float32(1), 2))
    np.testing.assert_array_equal(overlay(PICTURE, heat), overlay(PICTURE, np.ones((6, 8))))


def test_any_colour_map_of_matplotlib_will_do():
    black, white = overlay(PICTURE[:1, :2], [[0, 1]], opacity=1, colour_map="gray")[0]
    assert black.tolist() == [0, 0, 0] and white.tolist() == [255, 255, 255]


@pytest.mark.parametrize("change, message", [
    ({"picture": PICTURE / 255}, "uint8"), ({"picture": PICTURE[..., 0]}, "uint8"),
    ({"picture": np.zeros((6, 8, 4), np.uint8)}, "uint8"),
    ({"heat_map": np.full((6, 8), 1.5)}, r"\[0, 1\]"), ({"heat_map": np.full((6, 8), np.nan)}, r"\[0, 1\]"),
    ({"heat_map": np.zeros((1, 6, 8))}, r"\[h, w\]"),
    ({"opacity": 50}, "opacity"), ({"colour_map": "rainbow trout"}, "colour map")])
def test_refuses_what_does_not_fit(change, message):
    arguments = {"picture": PICTURE, "heat_map": np.zeros((6, 8))} | change
    with pytest.raises(ValueError, match=message):
        overlay(**arguments)
