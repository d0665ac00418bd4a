"""Trained networks as files: this project's own, and the published ones it reads. No TensorFlow."""

from cam_base import rooms

rooms.refuse_namesakes("nets", "ops")

from .as_said import load_as_said
from .class_names import read_class_names, renamed
from .formats import load, sha256
from .published import fetch, resolve
from .store import Weights, describe, save

__all__ = ["Weights", "describe", "fetch", "load", "load_as_said", "read_class_names", "renamed", "resolve", "save", "sha256"]
