"""Whether anything waits: pictures with overlays against without, and both against the network alone.

    python bench/pipeline.py ilsvrc-val-400/images
    python bench/pipeline.py photos --weights runs/photos

Without --weights the network is a ResNet-50 at 224 pixels with random weights, which
costs what a trained one costs. Each round runs, in turn: the network alone on batches
that are ready, `localize.py`'s own loop without overlays, with PNG strips, with JPEG
strips; ratios are medians of each round's own. Times are from the first picture to the last.
What is drawn, some hundred megabytes, is removed at the end: where hundreds of files were just removed, ext4
makes new ones slowly.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import localization
import localize
import nets
from cam_base import Preprocessing
from cam_localization import Outputs, ResultsFile, find_pictures, names_to_show, parse_localize
from ops.quiet_tensorflow import tf
from weights import Weights
from weights.ilsvrc import categories

RESNET = {"name": "resnet", "depth": 50}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="+", help="files, folders or globs")
    parser.add_argument("--weights", help="a file, a run's folder, or a published name")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    files = find_pictures(options.pictures)
    localizer = localization.load(options.weights) if options.weights else random_resnet()
    with tempfile.TemporaryDirectory() as drawn:
        ways = {"network alone": lambda: network_alone(localizer, len(files), options.batch)}
        for overlay in ("none", "png", "jpg"):
            asked = ["--overlay", "none"] if overlay == "none" else ["--overlay-format", overlay]
            ways[f"overlays: {overlay}"] = lambda asked=asked: localized(localizer, files, options.batch, asked, drawn)
        for way in ways.values():
            way()  # compiles, and fills the system's cache of files
        seconds = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                seconds[name].append(way())
    plain = seconds["overlays: none"]
    print(f"{len(files)} pictures in batches of {options.batch}, medians of {options.rounds}")
    for name, found in seconds.items():
        ratio = statistics.median(mine / theirs for mine, theirs in zip(found, plain))
        print(f"{name:16}{statistics.median(found):8.2f} s   {min(found):6.2f} to {max(found):6.2f}   "
              f"{ratio:5.2f} of that without overlays")


def random_resnet():
    net = nets.build(RESNET, 1000)
    tensors = {name: variable.numpy() for name, variable in nets.named_variables(net).items()}
    return localization.from_weights(Weights(RESNET, tensors, categories(1000), Preprocessing(size=224)))


def network_alone(localizer, pictures, batch):
    side = localizer.viewing.size
    inputs = tf.constant(np.random.default_rng(0).normal(size=(batch, side, side, 3)), tf.float32)
    start = time.perf_counter()
    for _ in range(-(-pictures // batch)):
        localizer.class_maps(inputs, lambda chances: localization.top_classes(chances, 3))
    return time.perf_counter() - start


def localized(localizer, files, batch, asked, drawn):
    folder = tempfile.mkdtemp(dir=drawn)
    settings = parse_localize(["--out", folder, *asked])
    outputs, tally = Outputs(settings, files, settings.top), localize.Tally(names_to_show(files), len(files))
    start = time.perf_counter()
    results = localizer.stream(files, min(batch, len(files)), keep=outputs.keep())
    localize.write_all(ResultsFile(settings, {}), outputs, zip(results, map(outputs.names, files)), tally)
    seconds = time.perf_counter() - start
    assert len(os.listdir(folder)) == (1 if settings.overlay == "none" else len(files) + 1)
    return seconds


if __name__ == "__main__":
    main()
