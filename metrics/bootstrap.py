"""How far figures over pictures could differ by chance: bootstrap over pictures.

A figure is computed again on many samples of the pictures, drawn with
replacement (Efron, 1979); the middle 95 % of the results is its interval. Where
the figure takes the best threshold, each sample takes its own best.

    samples = bootstrap(mean_of(correct), len(correct))
    low, high = interval(samples)
    compare(best_accuracy_of(hits_a), best_accuracy_of(hits_b), pictures)
"""

from typing import NamedTuple

import numpy as np

from metrics.areas import area_under_curve

RESAMPLES = 1000
BLOCK = 1 << 22  # counts held in memory at a time


def bootstrap(statistic, pictures, resamples=RESAMPLES, seed=0):
    """A figure on resampled pictures.

    statistic  function of float32 [r, pictures], how often each picture is in
               each of r samples, to [r]; see `mean_of` and others below
    pictures   how many there are
    resamples  how many samples of as many pictures are drawn
    seed       the same seed draws the same pictures, for any statistic
    returns    float64 [resamples]
    raises     ValueError when there are no pictures
    """
    if pictures < 1:
        raise ValueError("there are no pictures to draw from")
    rng = np.random.default_rng(seed)
    samples = []
    for start in range(0, resamples, max(1, BLOCK // pictures)):
        rows = min(max(1, BLOCK // pictures), resamples - start)
        drawn = rng.integers(pictures, size=(rows, pictures))
        drawn += pictures * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * pictures)
        samples.append(statistic(counts.reshape(rows, pictures).astype(np.float32)))
    return np.concatenate(samples).astype(np.float64)


def interval(samples, level=0.95):
    """(low, high): the middle `level` of the samples, by percentiles."""
    outside = 50 * (1 - level)
    low, high = np.percentile(samples, [outside, 100 - outside])
    return float(low), float(high)


def mean_of(values):
    """Statistic: the mean of one value a picture, such as right or wrong, or an IoU.

    values  [pictures]
    """
    values = np.asarray(values, np.float64)
    return lambda counts: counts @ values / len(values)


def best_accuracy_of(hits):
    """Statistic: MaxBoxAcc, or MaxBoxAccV2, with thresholds chosen in each sample.

    hits  bool [pictures, thresholds], or [k, pictures, thresholds] for the mean
          of k best accuracies: the `hits` of `MaxBoxAcc` and `MaxBoxAccV2`
    """
    hits = np.asarray(hits, bool)
    hits = hits.reshape(-1, *hits.shape[-2:])
    # Most thresholds fall on the same 8-bit level as the one before.
    hits = [np.concatenate([h[:, :1], h[:, 1:][:, (h[:, 1:] != h[:, :-1]).any(axis=0)]], axis=1)
            .astype(np.float32) for h in hits]
    return lambda counts: np.mean(
        [(counts @ h).max(axis=1) for h in hits], axis=0, dtype=np.float64) / len(hits[0])


def pxap_of(histograms):
    """Statistic: PxAP; `histograms` are those of `metrics.PxAP`, [2, pictures, intervals]."""
    background, found = np.asarray(histograms, np.float64)
    return lambda counts: np.array([area_under_curve([row @ background, row @ found])[0]
                                    for row in counts.astype(np.float64)])


class Difference(NamedTuple):
    """value: a - b on all pictures; low, high: its 95 % interval; beyond_chance:
    whether 0 lies outside the interval."""

    value: float
    low: float
    high: float
    beyond_chance: bool


def compare(a, b, pictures, resamples=RESAMPLES, seed=0):
    """The difference of a figure between two evaluations of the same pictures.

    Both are computed on the same samples: what makes a picture hard for both
    does not blur their difference.

    a, b      statistics, see `bootstrap`
    pictures  how many there are, in the same order in both
    returns   Difference
    """
    def difference(counts):
        return a(counts) - b(counts)

    low, high = interval(bootstrap(difference, pictures, resamples, seed))
    value = float(difference(np.ones((1, pictures), np.float32))[0])
    return Difference(value, low, high, not low <= 0 <= high)
