"""Trained networks as files: this project's own, and the published ones it reads. No TensorFlow."""

from weights.errors import InputError
from weights.preprocessing import Preprocessing
from weights.store import Category, Weights, load, replacing, save
