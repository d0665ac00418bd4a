"""Ten classes of textured shapes on clutter, drawn by NumPy: data that needs no files.

A class is a hue (warm or cool), a texture and a shape; shades, size, place, turn and
background vary. The background holds pieces of plain shapes in any colour and waves
of light, so colour or outline alone does not tell where the shape is.
"""

import colorsys

import numpy as np

from cam_base import Category
from .picture_set import PictureSet

SIZE = 64
CLASSES = ("warm striped disc", "cool striped square", "warm dotted square", "cool dotted triangle",
           "warm chequered triangle", "cool chequered cross", "warm ringed cross", "cool ringed disc",
           "warm rayed square", "cool rayed disc")
# Degrees on the colour circle.
HUES = {"warm": (-30, 60), "cool": (170, 280)}
# Splits are drawn from different seeds: no picture of one occurs in the other.
SPLIT_SEEDS = {"train": 1, "val": 2}
ROWS = {"train": 2000, "val": 1000}


def open_synthetic(split):
    """A PictureSet; the training split draws new pictures in every epoch, without end."""
    rows = ROWS[split]
    labels = np.arange(rows, dtype=np.int32) % len(CLASSES)
    seed = SPLIT_SEEDS[split]
    boxes = [draw(seed, row, row % len(CLASSES))[1][None] for row in range(rows)] if split == "val" else None

    def picture(row, epoch):
        number = row + (rows * epoch if split == "train" else 0)
        return draw(seed, number, row % len(CLASSES))[0]

    return PictureSet(f"synthetic/{split}", [Category(None, name) for name in CLASSES], labels,
                      [f"synthetic-{split}-{row}" for row in range(rows)], boxes, picture)


def draw(seed, number, label, size=SIZE):
    """Picture `number`, uint8 [size, size, 3], and the exact box of its shape, int32 [4], half-open."""
    rng = np.random.default_rng([seed, number])
    picture = _background(rng, size)
    hue, texture, shape = CLASSES[label].split()
    while True:
        radius = rng.uniform(0.2, 0.42) * size
        centre = rng.uniform(radius * 0.8, size - radius * 0.8, 2)
        inside, u, v = _shape(shape, *np.mgrid[:size, :size], centre, radius, rng.uniform(-0.5, 0.5))
        if inside.sum() > 0.05 * size * size:
            break
    light, dark = _shades(rng, hue)
    mask = _texture(texture, u, v, rng.uniform(6, 9) * size / 64, rng.uniform(0, 6))
    picture = np.where(inside[..., None], np.where(mask[..., None], light, dark), picture)
    picture += rng.normal(0, 8, picture.shape)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.int32)
    return np.clip(picture, 0, 255).astype(np.uint8), box


def _background(rng, size):
    y, x = np.mgrid[:size, :size] / size
    picture = np.zeros((size, size, 3)) + rng.uniform(40, 215, 3)
    for _ in range(3):
        a, b, phase = rng.uniform(-9, 9), rng.uniform(-9, 9), rng.uniform(0, 6)
        picture += np.sin(a * x + b * y + phase)[..., None] * rng.uniform(-30, 30, 3)
    for _ in range(5):
        radius = rng.uniform(0.04, 0.16) * size
        shape = ("disc", "square", "triangle", "cross")[rng.integers(4)]
        centre = rng.uniform(0, size, 2)
        # Only a window is looked at: no shape reaches further than 1.25 of its radius.
        (x0, y0), (x1, y1) = np.clip([centre - 1.25 * radius, centre + 1.25 * radius + 1], 0, size).astype(int)
        inside, _, _ = _shape(shape, *np.mgrid[y0:y1, x0:x1], centre, radius, rng.uniform(-1, 1))
        picture[y0:y1, x0:x1][inside] = rng.uniform(0, 255, 3)
    return picture


def _shades(rng, hue):
    """A light and a dark colour of one hue, 0 to 255."""
    turn = rng.uniform(*HUES[hue]) / 360 % 1
    light = colorsys.hsv_to_rgb(turn, rng.uniform(0.5, 1), rng.uniform(0.8, 1))
    dark = colorsys.hsv_to_rgb(turn, rng.uniform(0.5, 1), rng.uniform(0.1, 0.4))
    return 255 * np.array(light), 255 * np.array(dark)


def _shape(shape, y, x, centre, radius, turn):
    """Which of the pixels y, x are inside, and their coordinates u, v that turn with the shape."""
    x, y = x + 0.5 - centre[0], y + 0.5 - centre[1]
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    if shape == "disc":
        inside = u**2 + v**2 < radius**2
    elif shape == "square":
        inside = np.maximum(abs(u), abs(v)) < 0.85 * radius
    elif shape == "triangle":
        inside = (v < 0.7 * radius) & (1.6 * abs(u) - 0.8 * v < 0.9 * radius)
    else:
        inside = ((abs(u) < 0.4 * radius) | (abs(v) < 0.4 * radius)) & (np.maximum(abs(u), abs(v)) < radius)
    return inside, u, v


def _texture(texture, u, v, period, phase):
    if texture == "rayed":
        return np.sin(7 * np.arctan2(v, u) + phase) > 0
    u, v = 2 * np.pi * u / period, 2 * np.pi * v / period
    if texture == "striped":
        return np.sin(u + phase) > 0
    if texture == "chequered":
        return np.sin(u + phase) * np.sin(v + phase) > 0
    if texture == "ringed":
        return np.sin(np.hypot(u, v) + phase) > 0
    return np.sin(u + phase) + np.sin(v + phase) > 0.9
