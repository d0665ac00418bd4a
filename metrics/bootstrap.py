"""How far figures over pictures could differ by chance: bootstrap over pictures.

A figure is computed again on many samples of the pictures, drawn with
replacement (Efron, 1979); the middle 95 % of the results is its interval. Where
the figure takes the best threshold, each sample takes its own best.

    samples = bootstrap(mean_of(correct), len(correct))
    low, high = interval(samples)

`metrics.intervals` takes it where it holds.
"""

import numpy as np

from ops.arguments import real, real_array, shown, truth_array, whole
from .areas import area_under_curve

RESAMPLES = 1000
BLOCK = 1 << 22  # counts held in memory at a time


class Statistic:
    """A figure over pictures as a function of how often each counts: float32 [r, pictures] to [r].

    of_counts  that function
    pictures   how many there are, and `name` of what they were given by: ValueError for counts of others
    values     float [pictures] from 0 to 1, NaN where one is left out, whose mean the figure is on the pictures as they
               are; None where it is no such mean
    """

    def __init__(self, of_counts, pictures, name, values=None):
        self.of_counts, self.pictures, self.name, self.values = of_counts, pictures, name, values

    def __call__(self, counts):
        if np.ndim(counts) != 2 or np.shape(counts)[1] != self.pictures:
            raise ValueError(f"{self.name} are of {self.pictures} pictures, and the counts, [r, pictures], "
                             f"are of another shape: {np.shape(counts)}")
        return self.of_counts(counts)


def bootstrap(statistic, pictures, resamples=RESAMPLES, seed=0, numbers=None):
    """A figure on resampled pictures.

    statistic  function of float32 [r, rows], how often each row is in
               each of r samples, to [r]; see `mean_of` and others below
    pictures   how many rows there are, each of a picture of its own unless `numbers` says else
    resamples  how many samples of as many pictures are drawn
    seed       the same seed draws the same pictures, for any statistic
    numbers    int [rows] from 0: of which picture each row is. Pictures are drawn, with all of their rows:
               what one picture makes of two rows is no more sure than what it makes of one
    returns    float64 [resamples]
    raises     ValueError when there are no pictures or no samples, for a negative seed, for
               numbers that are none, and for a statistic that does not give [r]
    """
    pictures, resamples, seed = whole(pictures, "pictures", 0), whole(resamples, "resamples"), whole(seed, "seed", 0)
    if pictures < 1:
        raise ValueError("there are no pictures to draw from")
    check_statistic(statistic, "statistic")
    numbers = None if numbers is None else picture_numbers(numbers, pictures)
    pictures = pictures if numbers is None else int(numbers.max()) + 1
    rng = np.random.default_rng(seed)
    samples = []
    for start in range(0, resamples, max(1, BLOCK // pictures)):
        rows = min(max(1, BLOCK // pictures), resamples - start)
        drawn = rng.integers(pictures, size=(rows, pictures))
        drawn += pictures * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * pictures)
        counts = counts.reshape(rows, pictures).astype(np.float32)
        samples.append(figures_of(statistic, counts if numbers is None else counts[:, numbers], "statistic"))
    return np.concatenate(samples).astype(np.float64)


def picture_numbers(numbers, rows):
    """The numbers of `bootstrap`, checked."""
    numbers = real_array(numbers, "numbers")
    if numbers.shape != (rows,) or numbers.dtype.kind not in "iu" or not np.array_equal(np.unique(numbers), np.arange(numbers.max() + 1)):
        raise ValueError(f"numbers must be [{rows}], each picture's from 0 on; they are {numbers.dtype} {numbers.shape}")
    return numbers


def figures_of(statistic, counts, name):
    """What a statistic gives for counts, [r, pictures]: [r]."""
    figures = real_array(statistic(counts), name)
    if figures.shape != counts.shape[:1]:
        raise ValueError(f"{name} must give [{len(counts)}] for {list(counts.shape)}; it gave {figures.shape}")
    return figures


def check_statistic(statistic, name):
    """ValueError for what is no function."""
    if not callable(statistic):
        raise ValueError(f"{name} must be a function of counts, such as mean_of(...); it is {shown(statistic)}")


def interval(samples, level=0.95):
    """(low, high): the middle `level` of the samples, by percentiles.

    samples  [n], n >= 1, finite
    level    above 0, less than 1
    raises   ValueError for others
    """
    samples, level = real_array(samples, "samples"), real(level, "level")
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise ValueError(f"samples must be [n], n >= 1, finite; their shape is {samples.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must be above 0 and less than 1")
    outside = 50 * (1 - level)
    low, high = np.percentile(samples, [outside, 100 - outside])
    return float(low), float(high)


def mean_of(values):
    """Statistic: the mean of one value a picture, such as right or wrong, or an IoU.

    values  [pictures], finite; ValueError for others
    """
    values = real_array(values, "values").astype(np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"values must be [pictures], finite; their shape is {values.shape}")
    shares = values if len(values) and values.min() >= 0 and values.max() <= 1 else None
    return Statistic(lambda counts: counts @ values / counts.sum(axis=1, dtype=np.float64), len(values), "values", shares)


def best_accuracy_of(hits):
    """Statistic: MaxBoxAcc, or MaxBoxAccV2, with thresholds chosen in each sample.

    hits  bool [pictures, thresholds], or [k, pictures, thresholds] for the mean
          of k best accuracies: the `hits` of `MaxBoxAcc` and `MaxBoxAccV2`;
          ValueError for others
    """
    hits = truth_array(hits, "hits")
    if hits.ndim not in (2, 3) or not hits.size:
        raise ValueError(f"hits must be [pictures, thresholds] or [k, pictures, thresholds], not empty; "
                         f"their shape is {hits.shape}")
    hits = hits.reshape(-1, *hits.shape[-2:])
    # Most thresholds fall on the same 8-bit level as the one before.
    hits = [np.concatenate([h[:, :1], h[:, 1:][:, (h[:, 1:] != h[:, :-1]).any(axis=0)]], axis=1)
            .astype(np.float32) for h in hits]
    at_best = np.mean([h[:, h.sum(axis=0).argmax()] for h in hits], axis=0, dtype=np.float64)
    return Statistic(lambda counts: np.mean(
        [(counts @ h).max(axis=1) for h in hits], axis=0, dtype=np.float64) / counts.sum(axis=1, dtype=np.float64), len(at_best), "hits", at_best)


def pxap_of(histograms):
    """Statistic: PxAP; `histograms` are those of `metrics.PxAP`, [2, pictures, intervals]. ValueError for others."""
    histograms = real_array(histograms, "histograms").astype(np.float64)
    if histograms.ndim != 3 or len(histograms) != 2 or not histograms.size:
        raise ValueError(f"histograms must be [2, pictures, intervals], not empty; their shape is {histograms.shape}")
    if not (histograms.min() >= 0 and histograms.max() < np.inf):
        raise ValueError("histograms must be finite and not negative")
    background, found = histograms
    return Statistic(lambda counts: np.array(
        [area_under_curve([row @ background, row @ found])[0] for row in counts.astype(np.float64)]), len(found), "histograms")
