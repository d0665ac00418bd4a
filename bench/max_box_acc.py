"""Boxes at 1,000 thresholds of a 224 x 224 score map: ours against a loop over OpenCV.

    pip install -r requirements-bench.txt
    python bench/max_box_acc.py
    python bench/max_box_acc.py --data tiny-imagenet-100   # maps of validation pictures' true classes
    python bench/max_box_acc.py --class-maps maps.npy      # yours: [n, h, w]

Both sides start from the same score map and end with the box of the largest
contour at every threshold, and both run on one thread.  The boxes are compared
at every threshold, those of all contours too, and so are the score maps that
come from OpenCV's bicubic resizing instead of ours.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np

import metrics
from metrics import THRESHOLDS
from metrics.score_maps import scale_boxes, score_map
from metrics.threshold_boxes import level_boxes


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maps", type=int, help="how many: 20 random ones of each size, or 500 of --data")
    parser.add_argument("--data", help="folder of a data set, whose class maps to use instead")
    parser.add_argument("--weights", help="of the network that makes them; default: the default network")
    parser.add_argument("--class-maps", help=".npy file of class maps [n, h, w] to use instead")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    np.ones(4_000_000)  # as after any work with pictures: small arrays need no new memory
    rng = np.random.default_rng(0)
    if options.class_maps:
        class_maps = np.load(options.class_maps, allow_pickle=False)
        groups = {f"{class_maps.shape[1]} x {class_maps.shape[2]}": class_maps}
    elif options.data:
        class_maps, pictures = maps_of(options.data, options.weights, options.maps or 500)
        compare_metrics(class_maps, pictures)
        groups = {f"{class_maps.shape[1]} x {class_maps.shape[2]}": class_maps}
    else:
        groups = {f"{n} x {n}": rng.random((options.maps or 20, n, n)) for n in (4, 8, 14)}
    print("class maps      OpenCV     ours   ratio   unequal boxes: largest   all   other resizing")
    for name, class_maps in groups.items():
        compare(name, class_maps)


def maps_of(folder, weights_file, count):
    """(class maps of the true classes of validation pictures, float32 [count, h, w]; [(boxes, (width, height))])."""
    import cam_base
    import cam_data
    import localization
    from cam_evaluation.evaluators import sources

    localizer = localization.load(weights_file)
    pictures = cam_data.open_set(folder, "val")
    number = cam_base.match_classes(localizer.classes, pictures.categories)
    pictures = pictures.rows(np.flatnonzero(number[pictures.labels] >= 0))
    pictures = pictures.first_rows(min(count, len(pictures)))
    truth = number[pictures.labels][:, None]
    seen = [one for one in localizer.class_maps_of(sources(pictures), lambda _, rows: truth[rows]) if not one.error]
    return np.stack([one.maps[0] for one in seen]), [(pictures.boxes[one.number], one.size[::-1]) for one in seen]


def compare_metrics(class_maps, pictures):
    """Print MaxBoxAcc and MaxBoxAccV2 by our bicubic resizing and by OpenCV's."""
    for name, resize in (("our", score_map), ("OpenCV's", opencv_score_map)):
        metric, metric_v2 = metrics.MaxBoxAcc(THRESHOLDS), metrics.MaxBoxAccV2(THRESHOLDS)
        for class_map, (boxes, size) in zip(class_maps, pictures):
            levels, true_boxes = level_boxes(resize(class_map)), scale_boxes(boxes, size)
            metric.add(levels, true_boxes)
            metric_v2.add(levels, true_boxes)
        print(f"{name} resizing: MaxBoxAcc {metric.result().accuracy:.4f}, MaxBoxAccV2 {metric_v2.result()[0]:.4f}")


def compare(name, class_maps):
    """Print a line about some class maps."""
    seconds, unequal = np.zeros(2), np.zeros(3, int)
    for class_map in class_maps:
        scores = score_map(class_map)
        opencv, theirs = timed(opencv_boxes, scores)
        ours, boxes = timed(our_boxes, scores)
        seconds += opencv, ours
        resized = opencv_score_map(class_map)
        unequal += ((boxes != theirs).any(axis=1).sum(), unequal_levels(scores),
                    (our_boxes(resized) != boxes).any(axis=1).sum())
    milliseconds = 1000 * seconds / len(class_maps)
    print(f"{len(class_maps):4} of {name:7}{milliseconds[0]:7.1f} ms{milliseconds[1]:6.2f} ms"
          f"{seconds[0] / seconds[1]:6.1f} x{unequal[0]:24}{unequal[1]:6}{unequal[2]:17}"
          f"   of {len(class_maps) * len(THRESHOLDS)}")


def timed(function, scores, repeats=3):
    """(least processor seconds of some calls, result)"""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = function(scores)
        seconds.append(time.process_time() - start)
    return min(seconds), result


def our_boxes(scores):
    boxes = level_boxes(scores)
    return boxes.largest[boxes.levels_of(THRESHOLDS)]


def opencv_boxes(scores):
    grey = (scores * 255).astype(np.uint8)
    peak = grey.max()
    boxes = np.zeros((len(THRESHOLDS), 4), int)
    for number, threshold in enumerate(THRESHOLDS):
        contours = contours_above(grey, int(threshold * peak))
        if contours:
            x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
            boxes[number] = x, y, x + width, y + height
    return boxes


def contours_above(grey, level):
    mask = cv2.threshold(grey, level, 255, cv2.THRESH_BINARY)[1]
    return cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]


def unequal_levels(scores):
    """At how many levels the boxes of all contours are not the same ones."""
    boxes, grey = level_boxes(scores), (scores * 255).astype(np.uint8)
    unequal = 0
    for level in range(256):
        theirs = [(x, y, x + width, y + height) for x, y, width, height in
                  map(cv2.boundingRect, contours_above(grey, level))]
        ours = boxes.box[boxes.level == level]
        unequal += sorted(theirs) != sorted(map(tuple, ours.tolist()))
    return unequal


def opencv_score_map(class_map):
    resized = cv2.resize(np.float32(class_map), (224, 224), interpolation=cv2.INTER_CUBIC)
    resized -= resized.min()
    return resized / max(resized.max(), np.finfo(np.float32).tiny)


if __name__ == "__main__":
    main()
