"""What judging costs beside localizing: MaxBoxAcc, MaxBoxAccV2 and, with masks, PxAP at 1,000 thresholds.

    python bench/evaluation.py
    python bench/evaluation.py --data tiny-imagenet-200 --weights runs/photos/weights.npz

Without --weights the network is a small one of random weights; without --data the
pictures are drawn. Reading a picture and making its heat maps is localizing; so are the
boxes at one threshold. Everything else that an evaluation does is judging.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


import numpy as np

import cam_data
import cam_evaluation
import localization
import nets
import weights
from cam_base import Preprocessing
from cam_evaluation.collector import Collector
from cam_evaluation.evaluators import sources
from localization.localizer import BATCH
from metrics import THRESHOLDS
from metrics.ilsvrc import GUESSES
from weights import Weights

NETWORK = {"name": "resnet", "depth": 26, "width": 32, "stem": "3x3/2", "output_stride": 8}
REPORTED = 5000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="synthetic", help="folder of a data set, or 'synthetic'")
    parser.add_argument("--weights", help="a file of weights, or a name of `python -m weights list`")
    parser.add_argument("--rows", type=int, default=500, help="only so many pictures")
    options = parser.parse_args()
    pictures = cam_data.open_set(options.data, "val")
    pictures = pictures.first_rows(min(options.rows, len(pictures)))
    if pictures.draw:
        pictures = drawn(pictures)
    trained = weights.load(weights.resolve(options.weights)) if options.weights else random_weights(pictures)
    localizer = localization.from_weights(trained)
    look(localizer, pictures.first_rows(1))  # compiles
    localizing, seen = seconds(look, localizer, pictures)
    judging, records = seconds(judge, pictures, seen)
    figuring, _ = seconds(cam_evaluation.figures, records)
    print(f"{len(pictures)} pictures of {pictures.name}, {len(records.thresholds)} thresholds, "
          f"{', '.join(what for what in ('boxes', 'masks') if getattr(pictures, what))}")
    print("            processor seconds   ms a picture   seconds for 5,000")
    for name, spent in (("localizing", localizing), ("judging", judging), ("figures and intervals", figuring)):
        each = spent / len(pictures)
        print(f"{name:25}{spent:12.2f}{1000 * each:15.2f}{REPORTED * each:20.1f}")


def drawn(pictures):
    """Drawn pictures held in memory, since drawing is not what is measured, with their boxes' insides as masks."""
    pixels = [pictures.draw(row, 0) for row in range(len(pictures))]

    def masks(row):
        mask = np.zeros((224, 224), bool)
        for x0, y0, x1, y1 in (pictures.boxes[row] * 224) // pixels[row].shape[0]:
            mask[y0:y1, x0:x1] = True
        return mask, ~mask & np.roll(mask, 8)

    return replace(pictures, draw=lambda row, epoch: pixels[row], masks=masks)


def random_weights(pictures):
    net = nets.build(NETWORK, len(pictures.categories))
    tensors = {name: variable.numpy() for name, variable in nets.named_variables(net).items()}
    return Weights(NETWORK, tensors, pictures.categories, Preprocessing(size=64))


def look(localizer, pictures):
    """What an evaluation has of each picture before it judges: [(PictureMaps, boxes of its guesses and of the true class)]."""
    guesses = min(GUESSES, len(localizer.classes))

    def choose(probabilities, rows):
        return np.column_stack([localization.top_classes(probabilities, guesses), pictures.labels[rows]])

    return [(seen, localization.paper_boxes(localizer.heat_maps(seen.maps), seen.size, 0.2))
            for seen in localizer.class_maps_of(sources(pictures), choose, BATCH)]


def judge(pictures, found):
    """Records of it."""
    collector = Collector(pictures, THRESHOLDS)
    for seen, boxes in found:
        collector.add(collector.evaluate(seen.number, seen.size, boxes, seen.maps[-1]))
        collector.add_guesses(1, pictures.labels[seen.number], seen.classes[:-1], boxes)
    return collector.records()


def seconds(work, *arguments):
    """(processor seconds of all threads, result): other programs may be running."""
    start = time.process_time()
    result = work(*arguments)
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
