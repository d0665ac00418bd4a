"""How sure figures over pictures are, and their differences: by the bootstrap where it holds, else by intervals for few pictures.

The bootstrap knows nothing but the pictures that there are: of 0 errors of 21 its interval is 0 to 0. Where fewer
than FEW pictures are right, or wrong, a mean over pictures has Wilson's interval (0 to 0.155); where two evaluations
differ on fewer than FEW, their difference has that of Agresti and Min.

    interval_of(mean_of(correct), len(correct))
    compare(best_accuracy_of(hits_a), best_accuracy_of(hits_b), pictures)
"""

from typing import NamedTuple

import numpy as np

from ops.arguments import real, real_array, whole
from .bootstrap import RESAMPLES, bootstrap, check_statistic, figures_of, interval, picture_numbers

FEW = 10  # pictures: with fewer on one side, what is drawn from them is too much alike
BOOTSTRAP, WILSON, AGRESTI_MIN, UNKNOWN = "bootstrap", "Wilson", "Agresti-Min", "unknown"
Z = 1.959964  # of the normal distribution, whose middle 95 % lie between -Z and Z


class Interval(NamedTuple):
    """A 95 % interval, and `by` which method: BOOTSTRAP, WILSON, or UNKNOWN (0 to 1)."""

    low: float
    high: float
    by: str


class Difference(NamedTuple):
    """value: a - b on all pictures; low, high: its 95 % interval; beyond_chance: whether 0 lies outside the interval;
    by: BOOTSTRAP or AGRESTI_MIN."""

    value: float
    low: float
    high: float
    beyond_chance: bool
    by: str


def interval_of(statistic, pictures, resamples=RESAMPLES, seed=0, numbers=None):
    """The 95 % interval of a figure, an Interval.

    Of a mean over pictures of values from 0 to 1 (`Statistic.values`) of which fewer than FEW are, in sum, 1, or 0:
    Wilson's. Exact enough for shares; for values in between, whose mean varies less than that of zeros and ones,
    too wide, never too narrow. A figure that is no such mean, and on no sample another, is unknown: 0 to 1.

    parameters and errors as of `bootstrap`
    """
    pictures, numbers = _checked(pictures, resamples, seed, numbers, statistic=statistic)
    found = _of_pictures(getattr(statistic, "values", None), numbers)
    if found is not None and min(found.sum(), len(found) - found.sum()) < FEW:
        return Interval(*wilson(min(max(found.mean(), 0), 1), len(found)), WILSON)
    samples = bootstrap(statistic, pictures, resamples, seed, numbers)
    return Interval(0.0, 1.0, UNKNOWN) if found is None and samples.min() == samples.max() else Interval(*interval(samples), BOOTSTRAP)


def wilson(share, pictures):
    """(low, high): Wilson's 95 % interval of a share of pictures (Journal of the American Statistical Association, 1927).

    share     0 to 1, pictures at least 1; ValueError for others
    """
    share, pictures = real(share, "share"), whole(pictures, "pictures")
    if not 0 <= share <= 1 or pictures < 1:
        raise ValueError(f"a share is from 0 to 1, of at least one picture; it is {share} of {pictures}")
    middle = share + Z**2 / (2 * pictures)
    half = Z * np.sqrt(share * (1 - share) / pictures + Z**2 / (4 * pictures**2))
    low, high = (middle - half) / (1 + Z**2 / pictures), (middle + half) / (1 + Z**2 / pictures)
    return float(max(low, 0)), float(min(high, 1))


def compare(a, b, pictures, resamples=RESAMPLES, seed=0, numbers=None):
    """The difference of a figure between two evaluations of the same pictures.

    Both are computed on the same samples: what makes a picture hard for both
    does not blur their difference. Where both are means over pictures, and differ on fewer than FEW, the interval is
    Wald's with two pictures more, of which one speaks for each side by a half (Agresti and Min, Statistics in Medicine, 2005).

    a, b      statistics, see `bootstrap`
    pictures, numbers  see `bootstrap`; in the same order in both
    returns   Difference
    raises    ValueError as `bootstrap` does
    """
    pictures, numbers = _checked(pictures, resamples, seed, numbers, a=a, b=b)

    def difference(counts):
        return figures_of(a, counts, "a") - figures_of(b, counts, "b")

    value = float(difference(np.ones((1, pictures), np.float32))[0])
    values = [getattr(statistic, "values", None) for statistic in (a, b)]
    found = None if values[0] is None or values[1] is None else _of_pictures(values[0] - values[1], numbers)
    if found is not None and np.count_nonzero(found) < FEW:
        number, total = len(found) + 2, found.sum()
        half = Z * np.sqrt((found**2).sum() + 1 - total**2 / number) / number
        low, high, by = max(total / number - half, -1), min(total / number + half, 1), AGRESTI_MIN
    else:
        (low, high), by = interval(bootstrap(difference, pictures, resamples, seed, numbers)), BOOTSTRAP
    return Difference(value, float(low), float(high), not low <= 0 <= high, by)


def _checked(pictures, resamples, seed, numbers, **statistics):
    """(pictures, numbers of each row's picture); ValueError for what `bootstrap` would not take."""
    pictures = whole(pictures, "pictures", 0)
    whole(resamples, "resamples"), whole(seed, "seed", 0)
    if pictures < 1:
        raise ValueError("there are no pictures to draw from")
    for name, statistic in statistics.items():
        check_statistic(statistic, name)
        figures_of(statistic, np.ones((1, pictures), np.float32), name)
    return pictures, np.arange(pictures) if numbers is None else picture_numbers(numbers, pictures)


def _of_pictures(values, numbers):
    """What each picture gives to a mean over rows, of which NaN are left out: the mean of these is that mean. None for none."""
    if values is None:
        return None
    kept = ~np.isnan(values)
    _, picture = np.unique(numbers[kept], return_inverse=True)
    sums = np.bincount(picture, real_array(values, "values")[kept])
    return sums * (len(sums) / kept.sum())
