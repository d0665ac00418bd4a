"""A picture set by its name."""

from cam_base import InputError
from cam_base.terminal import say
from .forms import open_form
from .layouts import SPLITS
from .picture_set import MissingSplit, joined
from .synthetic import open_synthetic

ALL = "all"


def open_set(place, split):
    """The PictureSet "synthetic", or the one in folder `place`; split is "train", "val" or "all".

    Of all, a split that the set has not is said. Raises InputError for a set that has none, of which a split that is there
    cannot be opened, or whose splits are not judged by the same.
    """
    if split != ALL:
        return open_synthetic(split) if place == "synthetic" else open_form(place, split)
    if place == "synthetic":
        raise InputError("synthetic: its training pictures are drawn anew without end; judge its split val")
    parts, lacking = {}, {}
    for one in SPLITS:
        try:
            parts[one] = open_form(place, one)
        except MissingSplit as error:
            lacking[one] = error
    if not parts:
        raise lacking["val"]
    if len({tuple(part.files) for part in parts.values()}) == 1:  # a list that has no splits is whole in each
        parts = {"val": parts.popitem()[1]}
    for one, error in lacking.items():
        say(f"without the split {one!r}: {error}")
    return joined(parts, f"{next(iter(parts.values())).name.rpartition('/')[0] or place}/{ALL}")
