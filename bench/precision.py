"""Which dtype a network is faster in on this machine: a step of training, and the forward pass, in turn.

    python bench/precision.py efficientnet-lite
    python bench/precision.py resnet

Networks are as `nets.build` makes them by default, inputs as large as they ask for. Medians of
the rounds, and what bfloat16 takes over what float32 takes.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import cam_training
import nets
from cam_training.settings import parse
from ops.quiet_tensorflow import tf

CLASSES, STEPS = 10, 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", choices=nets.NAMES)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ways = {f"{what}, {precision}": way for precision in ("float32", "bfloat16")
            for what, way in ways_of(options.network, options.batch, precision).items()}
    seconds = {name: [] for name in ways}
    for number in range(options.rounds + 1):  # the first traces
        for name, way in ways.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                way().numpy()
            if number:
                seconds[name].append((time.perf_counter() - start) / STEPS)
    for what in ("training", "forward"):
        plain, half = (statistics.median(seconds[f"{what}, {precision}"]) for precision in ("float32", "bfloat16"))
        print(f"{what:10} float32 {1000 * plain:7.0f} ms   bfloat16 {1000 * half:7.0f} ms   ratio {half / plain:.2f}")


def ways_of(network, batch, precision):
    settings = parse(["--network", network, "--precision", precision]).settings
    settings.epochs = settings.epochs or 1
    size = settings.preprocessing["size"]
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=(batch, size, size, 3)), tf.float32)
    labels = tf.constant(rng.integers(CLASSES, size=batch), tf.int32)
    trainer = cam_training.Trainer(nets.build(settings.network, CLASSES), settings, 100, b"")
    return {"training": lambda: trainer.step(inputs, labels), "forward": lambda: trainer.classify(inputs)}


if __name__ == "__main__":
    main()
