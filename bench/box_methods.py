"""What makes better boxes of one network's maps: each way on the same pictures, judged alike.

    python bench/box_methods.py ilsvrc-val-400                  # figures of every way
    python bench/box_methods.py ilsvrc-val-400 --seconds        # time of the README's four

A figure that takes its best threshold is printed with it; "other half" is MaxBoxAcc with each
half of the pictures (every other one) at the threshold that is best on the other half. The last
line chooses the way, too, on the other half: what is left of the best when nothing is chosen on
the pictures that it is judged on. Times are whole streams of pictures with the box of the first
class, in turn, medians.
"""

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import cam_base
import cam_data
import localization
import metrics
import ops
from cam_base.threads import in_order
from cam_evaluation.evaluators import THREADS, sources
from localization.methods import METHODS
from ops.quiet_tensorflow import tf
from ops.walking import DEVIATION, _probabilities, _walk

THRESHOLDS = np.arange(0, 1, 0.01)
BEST = {"output_stride": 16, "scales": [260, 320, 384], "crops": 2, "refine": 80, "refine_grid": 112}
README = {"plain": (None, {"refine": 0}), "default": (None, {}),
          "recommended": (None, {"crops": 2, "refine": 80, "refine_grid": 112}), "best": ("efficientnet-lite2", BEST)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="a folder with boxes that evaluate.py reads")
    parser.add_argument("--weights", help="a file, a run's folder, or a published name")
    parser.add_argument("--seconds", action="store_true", help="times, not figures")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pictures = cam_data.open_set(options.data, "val")
    if options.seconds:
        return print_seconds(list(itertools.islice(sources(pictures), 128)), options.rounds)
    METHODS["clamped"] = clamped
    hits, sizes = {}, list(in_order(size_of, sources(pictures), THREADS, 32))
    print(f"{'':44}MaxBoxAcc      V2     other half")
    for name, maps in ways(options.weights, pictures):
        accuracy, v2 = judged(maps, pictures, sizes)
        hits[name] = accuracy.hits
        best = accuracy.result()
        print(f"{name:44}{best.accuracy:.4f} ({best.threshold:.2f})  {v2.result()[0]:.4f}  {other_half(hits[name]):.4f}", flush=True)
    together = np.concatenate(list(hits.values()), axis=1)
    print(f"{'the way and the threshold by the other half':44}{'':24}{other_half(together):.4f}")


def ways(weights, pictures):
    """(name, maps of the true classes, one [h, w] for each picture) of each way to make them."""
    views = {"one view": {}, "its mirror image, too": {"crops": 2}, "output stride 16": {"output_stride": 16},
             "4/3 of the size": {"scales": [4 / 3]}, "5/3 of the size": {"scales": [5 / 3]},
             "three sizes and mirror images": {"scales": [1, 4 / 3, 5 / 3], "crops": 2}, "aligned": {"align": True}}
    size = localization.load(weights).viewing.size
    found = {name: class_maps(weights, pictures, **options | {"scales": [round(size * side) for side in options.get("scales", [])]})
             for name, options in views.items()}
    plain = found["one view"]
    yield "minimum and maximum", plain
    for name, maps in found.items():
        yield f"{name}: negatives cut off", [np.maximum(one, 0) for one in maps]
    yield "negative weights as 0", class_maps(weights, pictures, method="clamped")
    for share in (0.8, 0.9):
        yield f"values above the {share:.0%} percentile alike", [cut(one, share) for one in plain]
    for share in (0.3, 0.5):
        yield f"the {share:.0%} least values removed", [np.maximum(one - np.quantile(one, share), 0) for one in plain]
    yield "aligned half-way", [
        (ops.upsample(np.maximum(one, 0), aligned.shape) + np.maximum(aligned, 0)) / 2
        for one, aligned in zip(plain, found["aligned"])]
    pixels = {side: list(colours_of(pictures, side)) for side in (28, 56, 112)}
    for side, space, deviation in [(28, "Lab", 0.03), (56, "Lab", 0.02), (56, "Lab", 0.03), (56, "Lab", 0.05),
                                   (56, "RGB", 0.03), (56, "RGB", 0.05), (112, "Lab", 0.03), (112, "RGB", 0.05)]:
        for steps in {28: (5, 10), 56: (10, 20, 40), 112: (40, 80, 160)}[side]:
            yield f"walk: {side} x {side}, {space} {deviation}, {steps} steps", walked(plain, pixels[side], steps, deviation, space)
    for name, side in itertools.product(("its mirror image, too", "5/3 of the size", "three sizes and mirror images"), (56, 112)):
        steps = 20 * side ** 2 // 56 ** 2
        yield f"walk: {side} x {side}, {steps} steps, {name}", walked(found[name], pixels[side], steps)


def class_maps(weights, pictures, **options):
    localizer = localization.load(weights, **options | {"refine": 0})
    truth = cam_base.match_classes(localizer.classes, pictures.categories)[pictures.labels]
    if (truth < 0).any():
        raise SystemExit("each class of the pictures must be one of the network's")
    return [maps.maps[0] for maps in localizer.class_maps_of(sources(pictures), lambda _, rows: truth[rows, None])]


def clamped(network, named, classes):
    """With weights below 0 as 0 (Bae, Noh, Kim, ECCV 2020)."""
    return ops.class_activation_maps(named["features"], tf.maximum(network.head.kernel, 0), classes)


def cut(class_map, share):
    """As large as the colours' grid, with all above the percentile at it: the threshold is then a share of the percentile."""
    large = ops.upsample(np.maximum(class_map, 0), 112)
    return np.minimum(large, np.quantile(large, share))


def size_of(source):
    """(height, width)."""
    return localization.sources.read(source).size


def colours_of(pictures, side):
    return in_order(lambda source: ops.walk_colours(localization.sources.read(source).pixels, side), sources(pictures), THREADS, 32)


def walked(maps, colours, steps, deviation=DEVIATION, space="Lab"):
    def walk(class_map, picture):
        positive = np.maximum(class_map, 0)[None]
        if space == "Lab":
            return ops.random_walk(positive, picture, steps, deviation)[0]
        probabilities = _probabilities(np.moveaxis(picture, -1, 0).astype(np.float32) / 255, deviation)
        return _walk(ops.upsample(positive, len(picture)), probabilities, tf.constant(steps)).numpy()[0]
    return list(in_order(lambda pair: walk(*pair), zip(maps, colours), THREADS, 32))


def judged(maps, pictures, sizes):
    """MaxBoxAcc and MaxBoxAccV2 of maps."""
    judges = metrics.MaxBoxAcc(THRESHOLDS), metrics.MaxBoxAccV2(THRESHOLDS)
    for class_map, boxes, size in zip(maps, pictures.boxes, sizes):
        score_map = metrics.ScoreMap(class_map)
        for judge in judges:
            judge.add(score_map, boxes, size)
    return judges


def other_half(hits):
    """Share of hits, bool [n, choices], each half at the choice that is best on the other."""
    halves = hits[::2], hits[1::2]
    return sum(half[:, other.mean(0).argmax()].sum() for half, other in (halves, halves[::-1])) / len(hits)


def print_seconds(files, rounds):
    localizers = {name: localization.load(weights, **options) for name, (weights, options) in README.items()}
    seconds = {name: [] for name in localizers}
    for number in range(rounds + 1):  # the first compiles, and fills the system's cache of files
        for name, localizer in localizers.items():
            start = time.perf_counter()
            for result in localizer.stream(files, top=1):
                result[0].box
            if number:
                seconds[name].append((time.perf_counter() - start) / len(files))
    plain = statistics.median(seconds["plain"])
    for name, found in seconds.items():
        median = statistics.median(found)
        print(f"{name:12}{1000 * median:8.1f} ms a picture   {median / plain:6.2f} of plain")


if __name__ == "__main__":
    main()
