"""Intervals of few pictures, against SciPy, against theory, and where the bootstrap takes over."""

import numpy as np
import pytest
from scipy.stats import binomtest

from metrics import MaxBoxAcc, MaxBoxAccV2
from metrics.bootstrap import best_accuracy_of, bootstrap, interval, mean_of, pxap_of
from metrics.intervals import compare, interval_of, wilson


def shares(right, pictures):
    """Statistic: so many of the pictures are right."""
    return mean_of(np.arange(pictures) < right)


@pytest.mark.parametrize("right, pictures", [(0, 21), (21, 21), (1, 1), (0, 1), (3, 21), (9, 400), (391, 400), (5, 9)])
def test_shares_of_few_pictures_have_wilsons_interval(right, pictures):
    found = interval_of(shares(right, pictures), pictures)
    expected = binomtest(right, pictures).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6) and found.by == "Wilson"
    assert wilson(right / pictures, pictures) == (found.low, found.high)


def test_no_errors_of_21_may_be_16_percent():
    assert interval_of(shares(0, 21), 21) == pytest.approx((0, 0.1546, "Wilson"), abs=1e-4)


@pytest.mark.parametrize("right, pictures", [(10, 20), (10, 400), (390, 400), (130, 400)])
def test_where_ten_are_right_and_ten_are_wrong_the_bootstrap_holds(right, pictures):
    found = interval_of(shares(right, pictures), pictures)
    assert found == (*interval(bootstrap(shares(right, pictures), pictures)), "bootstrap")
    expected = binomtest(right, pictures).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.35 * (expected.high - expected.low))


@pytest.mark.parametrize("pictures", [1, 5, 21, 60])
def test_intervals_hold_the_truth_as_often_as_they_say(pictures):
    """Over shares of all sizes; the bootstrap's of five pictures do so in 7 of 10 cases, since it says 0 to 0 or 1 to 1 so often."""
    rng = np.random.default_rng(0)
    held = []
    for trial in range(600):
        share = rng.random()
        found = interval_of(mean_of(rng.random(pictures) < share), pictures, 200, trial)
        held.append(found.low <= share <= found.high)
    assert 0.925 < np.mean(held) < 0.985


def test_a_best_accuracy_of_few_pictures_is_that_of_its_threshold():
    hits = np.zeros((21, 30), bool)
    hits[:, 7] = True
    assert interval_of(best_accuracy_of(hits), 21) == (*wilson(1, 21), "Wilson")
    # The mean of three shares varies less than a share: its interval may be wider than need be, and is never nothing.
    assert interval_of(best_accuracy_of(np.stack([hits, hits, ~hits])), 21) == (*wilson(1, 21), "Wilson")
    assert interval_of(best_accuracy_of(np.random.default_rng(0).random((200, 30)) < 0.5), 200).by == "bootstrap"


@pytest.mark.parametrize("metric", [MaxBoxAcc, MaxBoxAccV2])
def test_the_mean_of_what_pictures_give_is_the_figure(metric):
    rng = np.random.default_rng(1)
    name = next(iter(metric.shapes))
    statistic = metric.statistic({name: rng.integers(0, 2 if name == "hits" else 4, (50, 20)).astype(bool if name == "hits" else np.uint8)})
    assert statistic.values.mean() == pytest.approx(float(statistic(np.ones((1, 50), np.float32))[0]))


def test_a_mean_over_pixels_of_one_picture_is_not_known():
    histograms = np.random.default_rng(2).integers(0, 9, (2, 30, 12))
    assert interval_of(pxap_of(histograms[:, :1]), 1) == (0, 1, "unknown")
    assert interval_of(pxap_of(histograms), 30) == (*interval(bootstrap(pxap_of(histograms), 30)), "bootstrap")


def test_rows_of_one_picture_are_no_more_pictures():
    numbers = np.repeat(np.arange(21), 3)
    assert interval_of(mean_of(np.zeros(63)), 63, numbers=numbers) == interval_of(mean_of(np.zeros(21)), 21)
    found = compare(mean_of(np.repeat(np.arange(21) < 4, 3)), mean_of(np.zeros(63)), 63, numbers=numbers)
    assert found == pytest.approx(compare(shares(4, 21), shares(0, 21), 21))


@pytest.mark.parametrize("more, less, pictures, beyond", [(0, 0, 21, False), (4, 0, 21, False), (5, 0, 21, True), (6, 0, 400, True), (6, 1, 400, False)])
def test_evaluations_that_differ_on_few_pictures(more, less, pictures, beyond):
    """Agresti and Min: two pictures are added, half of one on each side; the bootstrap would find four of four beyond chance,
    which by McNemar's exact test has a probability of 1/8."""
    a, b = np.arange(pictures) < more, (more <= np.arange(pictures)) & (np.arange(pictures) < more + less)
    found = compare(mean_of(a), mean_of(b), pictures)
    p, q, n = more + 0.5, less + 0.5, pictures + 2
    error = 1.959964 * np.sqrt(p + q - (p - q) ** 2 / n) / n
    assert found == pytest.approx(((more - less) / pictures, (p - q) / n - error, (p - q) / n + error, beyond, "Agresti-Min"))
    assert found.low < 0 if not beyond else found.low > 0


def test_evaluations_that_differ_on_many_are_compared_by_the_bootstrap():
    rng = np.random.default_rng(3)
    a, b = rng.random((2, 100)) < 0.5
    found = compare(mean_of(a), mean_of(b), 100)
    samples = bootstrap(mean_of(a * 1.0 - b), 100)
    assert found == (*found[:1], *interval(samples), found.beyond_chance, "bootstrap")


@pytest.mark.parametrize("wrong", [{"pictures": 3}, {"resamples": 0}, {"seed": -1}, {"pictures": 0}])
def test_what_the_bootstrap_would_refuse_is_refused_of_few_pictures_too(wrong):
    for call in (lambda **given: interval_of(shares(0, 2), **given), lambda **given: compare(shares(0, 2), shares(0, 2), **given)):
        with pytest.raises(ValueError):
            call(**{"pictures": 2} | wrong)


def test_a_paired_difference_is_sharper_than_two_intervals():
    rng = np.random.default_rng(6)
    hard = rng.random(500)
    a, b = hard + 0.02 + 0.01 * rng.normal(size=500), hard + 0.01 * rng.normal(size=500)
    found = compare(mean_of(a), mean_of(b), 500)
    assert found.value == pytest.approx((a - b).mean())
    assert found.beyond_chance and 0.015 < found.low < found.value < found.high < 0.025
    assert interval(bootstrap(mean_of(a), 500))[0] < interval(bootstrap(mean_of(b), 500))[1]
