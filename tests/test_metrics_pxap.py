"""PxAP against a sweep over thresholds, pixel by pixel."""

import numpy as np
import pytest

from metrics.areas import area_under_curve
from metrics.pxap import PxAP


def sweep(pictures, thresholds):
    """The area by counting true and false positives at every threshold."""
    previous, area = 0.0, 0.0
    for threshold in [1.0, *thresholds[::-1]]:
        true = false = objects = 0
        for scores, mask, ignore in pictures:
            counted = mask | ~ignore
            true += np.sum(mask & (scores >= threshold))
            false += np.sum(counted & ~mask & (scores >= threshold))
            objects += mask.sum()
        if true + false:
            area += true / (true + false) * (true / objects - previous)
        previous = true / objects
    return area


def test_equal_a_sweep_over_thresholds():
    rng = np.random.default_rng(0)
    thresholds = np.arange(0, 1, 0.01)
    for trial in range(10):
        pictures = []
        metric = PxAP(thresholds)
        for _ in range(5):
            shape = rng.integers(1, 15, 2)
            mask = rng.random(shape) < 0.4
            scores = [rng.random(shape), rng.integers(0, 3, shape) / 2, np.zeros(shape),
                      np.clip(0.5 * mask + 0.5 * rng.random(shape), 0, 1)][trial % 4]
            pictures.append((scores, mask, rng.random(shape) < 0.3))
            metric.add(*pictures[-1])
        assert metric.result()[0] == pytest.approx(sweep(pictures, thresholds), abs=1e-12)


def test_by_hand():
    metric = PxAP(np.array([0, 0.5]))
    metric.add(np.array([[1.0, 0.7, 0.6, 0.2]]), np.array([[1, 0, 1, 0]], bool))
    area, precision, recall = metric.result()
    np.testing.assert_allclose(precision, [1, 2 / 3, 1 / 2])
    np.testing.assert_allclose(recall, [1 / 2, 1, 1])
    assert area == pytest.approx(1 / 2 + 2 / 3 / 2)


def test_a_perfect_map_reaches_one_and_ignored_pixels_do_not_matter():
    mask = np.array([[0, 1, 1, 0]], bool)
    metric = PxAP()
    metric.add(np.array([[0.1, 1, 0.9, 0.95]]), mask, np.array([[0, 1, 0, 1]], bool))
    assert metric.result()[0] == pytest.approx(1)
    metric.add(np.array([[0.1, 1, 0.9, 0.95]]), mask)
    assert metric.result()[0] < 1


def test_pictures_can_be_taken_out_afterwards():
    rng = np.random.default_rng(1)
    pictures = [(rng.random((4, 6)), rng.random((4, 6)) < 0.5) for _ in range(4)]
    metric, part = PxAP(), PxAP()
    for number, picture in enumerate(pictures):
        metric.add(*picture)
        if number in (0, 2):
            part.add(*picture)
    subset = metric.histograms[:, [0, 2]].sum(axis=1)
    assert area_under_curve(subset)[0] == part.result()[0]


def test_a_mask_of_fractions_or_nan_is_none():
    scores = np.zeros((1, 2))
    for mask in (np.array([[0.2, 0.9]]), np.array([[np.nan, 0]])):
        with pytest.raises(ValueError, match="^mask must be bool"):
            PxAP().add(scores, mask)
        with pytest.raises(ValueError, match="^ignore must be bool"):
            PxAP().add(scores, np.ones((1, 2), bool), mask)
    metric = PxAP([0])
    metric.add(scores, np.array([[0, 255]], np.uint8))
    assert metric.histograms[:, 0].tolist() == [[1, 0], [1, 0]]


def test_thresholds_start_at_the_lowest_score():
    with pytest.raises(ValueError, match="thresholds must start with 0"):
        PxAP([0.1, 0.2])


def test_refuses_what_cannot_be_judged():
    mask = np.ones((2, 2), bool)
    with pytest.raises(ValueError, match="equal"):
        PxAP().add(np.zeros((2, 3)), mask)
    with pytest.raises(ValueError, match="NaN"):
        PxAP().add(np.full((2, 2), np.nan), mask)
    metric = PxAP()
    metric.add(np.zeros((2, 2)), ~mask)
    with pytest.raises(ValueError, match="no pixel"):
        metric.result()
