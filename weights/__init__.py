"""Trained networks as files: this project's own, and the published ones it reads. No TensorFlow."""

from weights.as_said import load_as_said
from weights.class_names import read_class_names, renamed
from weights.formats import load, sha256
from weights.published import fetch, resolve
from weights.store import Weights, describe, save
