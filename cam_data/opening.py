"""A picture set by its name."""

from cam_data.layouts import open_folder
from cam_data.synthetic import open_synthetic


def open_set(place, split):
    """The PictureSet "synthetic", or the one in folder `place`; split is "train" or "val"."""
    return open_synthetic(split) if place == "synthetic" else open_folder(place, split)
