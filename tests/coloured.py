"""Rectangles of three colours on grey, and a network whose class maps are how red, green and blue a picture is."""

import json
import os

import numpy as np
import tensorflow as tf
from PIL import Image

import evaluate as program
import nets
import ops
import weights
from cam_base import Category, Preprocessing
from weights import Weights

CLASSES = [Category("n01440764", "red thing"), Category("n01443537", "green thing"), Category("n01484850", "blue thing")]
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
SIDE = 64


class Colours(tf.Module):
    """The largest area of colour is the most probable class; its box can be told by eye."""

    def __init__(self):
        super().__init__()
        self.smallest = 2
        self.head = tf.Module()
        self.head.kernel = tf.eye(3)

    def __call__(self, pictures, training=False):
        others = tf.stack([tf.reduce_max(tf.gather(pictures, rest, axis=3), 3) for rest in ([1, 2], [0, 2], [0, 1])], 3)
        features = tf.nn.avg_pool2d(tf.nn.relu(pictures - others), 2, 2, "VALID")
        return 100 * ops.gap(features), {"features": features}

    def grid(self, size):
        return 1.0, 2


def colour_weights(monkeypatch, folder):
    """A file from which the programs load Colours."""
    config = {"name": "resnet", "depth": 26, "width": 4, "stem": "3x3/2", "output_stride": 8}
    tensors = {name: v.numpy() for name, v in nets.named_variables(nets.build(config, 3)).items()}
    path = str(folder / "colours.npz")
    plain = Preprocessing(size=SIDE, mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
    weights.save(path, Weights(config, tensors, CLASSES, plain))
    monkeypatch.setattr(nets, "build", lambda *_, **__: Colours())
    monkeypatch.setattr(nets, "assign", lambda *_: None)
    return path


def paint(path, size=(SIDE, SIDE), **boxes):
    """Save a picture of this width and height with a rectangle for each colour: x0, y0, x1, y1, half-open."""
    pixels = np.full((size[1], size[0], 3), 100, np.uint8)
    for colour, (x0, y0, x1, y1) in boxes.items():
        pixels[y0:y1, x0:x1] = COLOURS[colour]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95, subsampling=0) if path.lower().endswith(("jpg", "jpeg")) \
        else Image.fromarray(pixels).save(path)


def metadata_folder(folder, boxes, labels, size=(SIDE, SIDE)):
    """The WSOL protocol's four files; boxes: {image id: [[x0, y0, x1, y1], ...]}, half-open."""
    os.makedirs(folder, exist_ok=True)
    lines = {"image_ids": list(boxes),
             "class_labels": [f"{name},{label}" for name, label in zip(boxes, labels)],
             "image_sizes": [f"{name},{size[0]},{size[1]}" for name in boxes],
             "localization": [f"{name},{x0},{y0},{x1 - 1},{y1 - 1}" for name in boxes for x0, y0, x1, y1 in boxes[name]]}
    for name, rows in lines.items():
        with open(os.path.join(folder, f"{name}.txt"), "w", encoding="utf-8") as file:
            file.write("\n".join(rows) + "\n")
    return str(folder)


def evaluate(out, *arguments):
    """Run evaluate.py; the metrics that it writes."""
    assert program.main([*map(str, arguments), "--out", str(out)]) == 0
    with open(os.path.join(out, "metrics.json"), encoding="utf-8") as file:
        return json.load(file)
