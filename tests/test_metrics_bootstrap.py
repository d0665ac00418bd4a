"""Bootstrap intervals against resampling picture by picture, and against theory."""

import numpy as np
import pytest

from metrics.areas import area_under_curve
from metrics.bootstrap import best_accuracy_of, bootstrap, interval, mean_of, pxap_of
from metrics.pxap import PxAP


def drawn_counts(rng, pictures, samples=20):
    """Samples as lists of pictures, and as the counts that statistics take."""
    drawn = rng.integers(pictures, size=(samples, pictures))
    return drawn, np.array([np.bincount(row, minlength=pictures) for row in drawn], np.float32)


def test_statistics_equal_the_figure_on_the_drawn_pictures():
    rng = np.random.default_rng(0)
    drawn, counts = drawn_counts(rng, 37)
    values, hits = rng.random(37), rng.random((3, 37, 50)) < np.linspace(0.2, 0.6, 50)
    hits[:, :, 10:20] = hits[:, :, 10:11]
    histograms = rng.integers(0, 9, (2, 37, 12))
    np.testing.assert_allclose(mean_of(values)(counts), [values[d].mean() for d in drawn])
    np.testing.assert_allclose(best_accuracy_of(hits[0])(counts),
                               [hits[0][d].mean(axis=0).max() for d in drawn], rtol=1e-12)
    np.testing.assert_allclose(best_accuracy_of(hits)(counts),
                               [hits[:, d].mean(axis=1).max(axis=1).mean() for d in drawn], rtol=1e-12)
    np.testing.assert_allclose(pxap_of(histograms)(counts),
                               [area_under_curve(histograms[:, d].sum(axis=1))[0] for d in drawn])


def test_pxap_takes_the_histograms_of_the_metric():
    rng = np.random.default_rng(1)
    metric = PxAP(np.arange(0, 1, 0.1))
    for _ in range(5):
        metric.add(rng.random((6, 6)), rng.random((6, 6)) < 0.5)
    everything = pxap_of(metric.histograms)(np.ones((1, 5), np.float32))
    assert everything[0] == pytest.approx(metric.result()[0], abs=1e-12)


def test_the_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(2).normal(size=2000)
    low, high = interval(bootstrap(mean_of(values), 2000, resamples=2000))
    error = values.std() / np.sqrt(2000)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    held = 0
    for trial in range(200):
        low, high = interval(bootstrap(mean_of(rng.random(60) < 0.3), 60, 300, seed=trial))
        held += low <= 0.3 <= high
    assert 0.89 <= held / 200 <= 0.99


def test_a_seed_draws_the_same_pictures_in_blocks_of_any_size(monkeypatch):
    values = np.arange(50.0)
    samples = bootstrap(mean_of(values), 50, 40, seed=4)
    np.testing.assert_array_equal(samples, bootstrap(mean_of(values), 50, 40, seed=4))
    assert not np.array_equal(samples, bootstrap(mean_of(values), 50, 40, seed=5))
    monkeypatch.setattr("metrics.bootstrap.BLOCK", 50 * 7)
    np.testing.assert_array_equal(bootstrap(mean_of(values), 50, 40, seed=4), samples)


def test_thresholds_are_chosen_again_in_each_sample():
    # Each picture is a hit at its own threshold only: what is drawn twice decides the best.
    samples = bootstrap(best_accuracy_of(np.eye(20, dtype=bool)), 20, 200)
    assert samples.min() >= 2 / 20 and samples.max() <= 1
    assert samples.mean() > 2.5 / 20


def test_counts_of_other_pictures_are_refused():
    for statistic in (mean_of([1, 2]), best_accuracy_of(np.eye(2, dtype=bool)), pxap_of(np.ones((2, 2, 3)))):
        with pytest.raises(ValueError, match="are of 2 pictures"):
            statistic(np.ones((4, 3), np.float32))


def test_refuses_no_pictures():
    with pytest.raises(ValueError, match="no pictures"):
        bootstrap(mean_of([]), 0)


def test_rows_of_one_picture_are_drawn_together():
    """Each picture twice: the interval is that of the pictures, not the narrower one of twice as many."""
    values = np.random.default_rng(0).random(200)
    twice, numbers = np.repeat(values, 2), np.repeat(np.arange(200), 2)
    np.testing.assert_allclose(bootstrap(mean_of(twice), 400, numbers=numbers), bootstrap(mean_of(values), 200), rtol=1e-6)
    # Of pictures with other numbers of rows, the mean of a sample is over all of its rows.
    values, numbers = np.array([1.0, 0, 0, 1]), np.array([0, 1, 1, 1])
    assert set(np.round(bootstrap(mean_of(values), 4, numbers=numbers), 6)) == {1, 0.5, round(1 / 3, 6)}
    hits = values[:, None] > 0.5
    np.testing.assert_allclose(bootstrap(best_accuracy_of(hits), 4, numbers=numbers), bootstrap(mean_of(values), 4, numbers=numbers), rtol=1e-6)
    for wrong in ([0, 1], [0, 2, 2, 2], [0.0, 1, 1, 1]):
        with pytest.raises(ValueError, match="numbers must be"):
            bootstrap(mean_of(values), 4, numbers=wrong)
