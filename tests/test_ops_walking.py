"""The random walk along a picture's colours, against loops over its neighbours and what must be so by hand."""

import cv2
import numpy as np
import pytest

import ops
from ops.walking import GRID, OFFSETS, _lab

RNG = np.random.default_rng(0)


def by_loops(maps, colours, steps, deviation):
    """The mean over neighbours, weighted by likeness, in float64."""
    side = len(colours)
    colours = np.moveaxis(_lab(colours), 0, -1).astype(np.float64) / 100
    maps = ops.upsample(maps, side).astype(np.float64)
    y, x = np.mgrid[:side, :side]
    for _ in range(steps):
        total, weights = np.zeros_like(maps), np.zeros((side, side))
        for dy, dx in OFFSETS:
            inside = (y + dy >= 0) & (y + dy < side) & (x + dx >= 0) & (x + dx < side)
            there = np.clip(y + dy, 0, side - 1), np.clip(x + dx, 0, side - 1)
            weight = inside * np.exp(-((colours[there] - colours) ** 2).sum(2) / (2 * deviation ** 2))
            total += weight * maps[:, *there]
            weights += weight
        maps = total / weights
    return maps


def halves():
    """A picture that is black on the left and white on the right."""
    colours = np.zeros((GRID, GRID, 3), np.uint8)
    colours[:, GRID // 2:] = 255
    return colours


@pytest.mark.parametrize("side, steps, deviation", [(56, 0, 0.05), (56, 1, 0.05), (56, 7, 0.1), (56, 3, 0.5), (21, 4, 0.1), (5, 2, 0.1)])
def test_a_step_is_the_mean_over_like_neighbours(side, steps, deviation):
    colours, maps = RNG.integers(100, 140, (side, side, 3), np.uint8), RNG.normal(size=(2, 9, 7))
    walked = ops.random_walk(maps, colours, steps, deviation)
    assert walked.dtype == np.float32 and walked.shape == (2, side, side)
    np.testing.assert_allclose(walked, by_loops(maps, colours, steps, deviation), atol=1e-5)


def test_colours_are_those_of_the_cie():
    """White, black, and the corners of sRGB as tables have them."""
    known = {(255, 255, 255): (100, 0, 0), (0, 0, 0): (0, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20),
             (0, 255, 0): (87.73, -86.18, 83.18), (0, 0, 255): (32.30, 79.19, -107.86), (119, 119, 119): (50.03, 0, 0)}
    found = _lab(np.array([list(known)], np.uint8))[:, 0].T
    np.testing.assert_allclose(found, list(known.values()), atol=0.03)
    colours = RNG.integers(0, 256, (40, 40, 3), np.uint8)
    opencv = cv2.cvtColor(colours / np.float32(255), cv2.COLOR_RGB2LAB)  # itself right to 0.35
    np.testing.assert_allclose(np.moveaxis(_lab(colours), 0, -1), opencv, atol=0.5)


def test_there_are_32_neighbours():
    assert len(set(OFFSETS)) == 32 and {max(abs(dy), abs(dx)) for dy, dx in OFFSETS} == {1, 2, 4, 8}


def test_nothing_leaks_from_one_colour_to_another():
    maps = np.zeros((1, GRID, GRID))
    maps[:, 25, 10] = 1
    walked = ops.random_walk(maps, halves(), 100)[0]
    assert walked[:, :GRID // 2].min() >= 0 and walked[:, GRID // 2:].max() == 0
    assert walked[45, 25] > 0  # and within the colour it comes far


def test_values_stay_between_the_maps_own():
    maps = RNG.normal(size=(3, 5, 5))
    walked = ops.random_walk(maps, RNG.integers(0, 255, (GRID, GRID, 3), np.uint8), 20)
    for before, after in zip(ops.upsample(maps, GRID), walked):
        assert before.min() - 1e-5 <= after.min() and after.max() <= before.max() + 1e-5
    np.testing.assert_allclose(ops.random_walk(np.full((1, 4, 4), 2.5), halves(), 50), 2.5, rtol=1e-5)


def test_mirrored_pictures_have_mirrored_maps():
    colours, maps = RNG.integers(90, 130, (GRID, GRID, 3), np.uint8), RNG.random((1, 7, 7))
    mirrored = ops.random_walk(maps[:, :, ::-1], colours[:, ::-1].copy(), 10)
    np.testing.assert_allclose(mirrored[:, :, ::-1], ops.random_walk(maps, colours, 10), atol=1e-5)


def test_a_pixel_that_is_like_none_goes_to_any():
    colours = np.zeros((GRID, GRID, 3), np.uint8)
    colours[40, 40] = 255
    maps = np.zeros((1, GRID, GRID))
    maps[:, 41:, 41:] = 1
    walked = ops.random_walk(maps, colours, 1)
    assert np.isfinite(walked).all() and 0 < walked[0, 40, 40] < 1


def test_colours_are_the_pictures():
    picture = np.zeros((300, 200, 3), np.uint8)
    picture[150:] = 10, 200, 30
    for side in (GRID, 40):
        colours = ops.walk_colours(picture, side)
        assert colours.shape == (side, side, 3) and colours.dtype == np.uint8
        assert colours[5, 25].tolist() == [0, 0, 0] and colours[side - 5, 25].tolist() == [10, 200, 30]
