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
from cam_evaluation.collector import Desk
from cam_evaluation.judging import BATCH, GUESSES
from metrics import THRESHOLDS
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
    localizer = localization.Localizer(trained)
    boxes_of = localization.paper_rule(0.2)
    look(localizer, pictures.first_rows(1), boxes_of)  # compiles
    localizing, seen = seconds(look, localizer, pictures, boxes_of)
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


def look(localizer, pictures, boxes_of):
    """What `cam_evaluation.judge` has of each picture before it judges: (row, size, guesses, boxes, class map)."""
    guesses, found = min(GUESSES, len(localizer.classes)), []
    for inputs, labels, rows, sizes in cam_data.viewing_batches(pictures, localizer.viewing, BATCH):
        truth = np.zeros(len(inputs), int)
        truth[:len(labels)] = labels
        seen = localizer(inputs, lambda chances: np.column_stack([cam_evaluation.top_classes(chances, guesses), truth]))
        found += [(row, size, seen.classes[n, :guesses], boxes_of(seen.heat_maps[n], seen.class_maps[n], size),
                   seen.class_maps[n, -1]) for n, (row, size) in enumerate(zip(rows.numpy(), sizes.numpy()))]
    return found


def judge(pictures, seen):
    """Records of it."""
    desk = Desk(pictures, THRESHOLDS)
    for row, size, guesses, boxes, class_map in seen:
        desk.add(row, size, boxes, class_map)
        desk.add_guesses(1, pictures.labels[row], guesses, boxes)
    return desk.records()


def seconds(work, *arguments):
    """(processor seconds of all threads, result): other programs may be running."""
    start = time.process_time()
    result = work(*arguments)
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
