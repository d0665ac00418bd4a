"""Pictures: what they are of, where their boxes are, and how they reach a network."""

from data.categories import find_class, match_classes
from data.decode import decode, read_picture
from data.frozen import FrozenMaps, frozen_maps
from data.ilsvrc import open_validation, read_submission, write_submission
from data.layouts import is_picture, open_folder
from data.picture_set import PictureSet
from data.pipeline import broken_files, epoch_order, training_batches, viewing_batches
from data.prepare import prepare, prepare_centre_crop
from data.synthetic import open_synthetic
from data.wsol_metadata import open_metadata


def open_set(place, split):
    """The PictureSet "synthetic", or the one in folder `place`; split is "train" or "val"."""
    return open_synthetic(split) if place == "synthetic" else open_folder(place, split)
