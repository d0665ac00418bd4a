"""Trained networks as files: this project's own, and the published ones it reads. No TensorFlow."""

from weights.errors import InputError
from weights.formats import load
from weights.preprocessing import Preprocessing
from weights.published import fetch, resolve
from weights.store import Category, Weights, describe, replacing, save
