"""A picture set by its name."""

from .forms import open_form
from .synthetic import open_synthetic


def open_set(place, split):
    """The PictureSet "synthetic", or the one in folder `place`; split is "train" or "val"."""
    return open_synthetic(split) if place == "synthetic" else open_form(place, split)
