"""From numbers of more than 8 bits to what a screen shows: which of them is black, and which is white."""

from typing import NamedTuple

import numpy as np

SAMPLE = 4_000_000  # numbers of which the range is found
BLOCK = 1 << 20     # numbers that are converted at a time
OUTLYING = 0.005    # share of the numbers at either end that may be outliers
NO_NUMBER = 1e30    # of this magnitude or more, a number stands for none


class Range(NamedTuple):
    """Which number is black, and which white."""

    low: float
    high: float


def shown(values, alpha=None, white_is_zero=False, premultiplied=False, no_data=None):
    """(uint8 [H, W, 3] as a person sees it on white, the Range that it shows, how many numbers lie outside).

    values         [H, W, 1] or [H, W, 3] of any real dtype: greys, or RGB, whose channels are stretched together
    alpha          [H, W] of the same dtype: of the largest number of all, or of those that are used where values and alpha use less
                   than half, opaque; premultiplied: with the values already
    white_is_zero  greys whose least number is white
    no_data        the number that stands for none, besides NaN, infinity and 1e30 and more: black
    """
    there = np.broadcast_to((alpha > 0)[..., None], values.shape) if alpha is not None else None
    found = full_range(values.dtype) if values.dtype == np.uint8 else display_range(values, there, no_data)
    picture, outside = np.empty((*values.shape[:2], 3), np.uint8), 0
    if alpha is not None:
        opaque = full_range(alpha.dtype).high
        # Twelve bits in sixteen: of transparency, too.
        opaque = int(alpha.max()) if max(found.high, alpha.max()) < opaque / 2 and alpha.any() else opaque

    def tones(numbers):
        """(0 to 255, whether they lie outside) of numbers of any shape."""
        numbers = numbers.astype(np.float64)
        valid = is_number(numbers, no_data)
        beyond = ~valid | (numbers < found.low) | (numbers > found.high)
        tone = (np.clip(np.where(valid, numbers, found.low), *found) - found.low) / ((found.high - found.low) or 1)
        tone = 255 * np.where(valid, 1 - tone if white_is_zero else tone, 0)
        return np.rint(tone).astype(np.uint8) if alpha is None else tone, beyond

    few = values.dtype.kind in "iu" and values.dtype.itemsize <= 2  # so few that each is converted once
    if few:
        least, most = int(np.iinfo(values.dtype).min), int(np.iinfo(values.dtype).max)
        table, lies_beyond = tones(np.arange(least, most + 1))
        lies_beyond = lies_beyond if lies_beyond[int(values.min()) - least:int(values.max()) - least + 1].any() else None
    rows = max(1, BLOCK // max(1, values[0].size))
    for begin in range(0, len(values), rows):
        part, beyond = values[begin:begin + rows], None
        if few:
            places = part if least == 0 else part.astype(np.int32) - least
            tone, beyond = np.take(table, places), None if lies_beyond is None else lies_beyond[places]
        else:
            tone, beyond = tones(part)
        if beyond is not None:
            outside += np.count_nonzero(beyond if there is None else beyond & there[begin:begin + rows])
        if alpha is not None:
            share = np.clip(alpha[begin:begin + rows, :, None].astype(np.float64) / opaque, 0, 1)
            tone = np.rint(np.minimum(tone + 255 * (1 - share), 255) if premultiplied else 255 - share * (255 - tone))
        picture[begin:begin + rows] = tone
    return picture, found, outside


def full_range(dtype):
    """Of a kind of numbers: 0 to the largest whole number, or, of floats, to 1."""
    return Range(0, 1 if dtype.kind == "f" else int(np.iinfo(dtype).max))


def is_number(values, no_data=None):
    """bool: which of these floats stand for themselves."""
    valid = np.abs(values) < NO_NUMBER  # fails for NaN, too
    return valid if no_data is None else valid & (values != no_data)


def display_range(values, there=None, no_data=None):
    """The Range of values [H, W, C]: from the least to the largest, without outliers and what stands for no number.

    RGB that uses more than half of all that its dtype can hold is left as it is, from 0 on: a photograph's exposure is meant.
    there  bool, which of them are seen; None: all
    """
    flat, seen = values.reshape(-1), None if there is None else there.reshape(-1)
    step = max(1, flat.size // SAMPLE) | 1  # odd: no multiple of a row
    sample = flat[::step].astype(np.float64)
    sample = sample[is_number(sample, no_data) if seen is None else is_number(sample, no_data) & seen[::step]]
    if not len(sample):
        return Range(0, 0)
    sample = _without_outliers(_without_sentinels(np.sort(sample)))
    found, full = Range(float(sample[0]), float(sample[-1])), full_range(values.dtype)
    return full if values.shape[-1] == 3 and found.low >= 0 and full.high / 2 < found.high <= full.high else found


def _without_sentinels(values):
    """Sorted values without a least or largest one that lies farther from all others than they from each other: -9999 is no height."""
    for end in (0, -1):
        others = values[np.searchsorted(values, values[0], "right"):] if end == 0 else values[:np.searchsorted(values, values[-1])]
        if len(others) and abs(others[end] - values[end]) > others[-1] - others[0] > 0:
            values = others
    return values


def _without_outliers(values):
    """Sorted values without the few at either end that lie farther off than a quarter of the rest's width: hot and dead pixels."""
    few = int(OUTLYING * len(values))
    low, high = values[few], values[-1 - few]
    room = (high - low) / 4
    return values[(values >= low - room) & (values <= high + room)] if room else values
