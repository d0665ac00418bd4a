"""The pictures that an evaluation got worst, or best, drawn with their true boxes."""

import os

import numpy as np

import cam_base
import ops
from cam_base import InputError, replacing
from cam_base.files import OWN_MARK
from cam_base.threads import in_order
from localization import Result, top_classes
from localization.boxes import RULES
from localization.localizer import BATCH
from .collector import best_iou
from .evaluators import THREADS, heat_map_of, map_names, rank_of, read_score_map, sources
from .report import DRAWN, remove_matching


def extreme_rows(records, which, count):
    """Indices of so many records, the worst or the best first: by the IoU of the true class's box, else by that class's rank."""
    if records.known_iou is None and records.rank is None:
        raise InputError(f"--overlays {which}:{count}: these pictures have neither boxes nor guesses to order them by")
    goodness = -records.rank if records.known_iou is None else records.known_iou
    return np.argsort(goodness if which == "worst" else -goodness, kind="stable")[:count]


def draw_with_network(folder, records, rows, pictures, localizer, thresholds):
    """Draw records' rows: the picture, what the network sees of its true class, and of its first guess where that is another.

    thresholds  of the boxes: those of every other picture of the set, or of all
    """
    numbers = _numbers(records, rows, pictures)
    part, halves = pictures.rows(numbers), pictures.numbers[numbers]
    truth = cam_base.match_classes(localizer.classes, pictures.categories)[part.labels]

    def choose(probabilities, of):
        return np.column_stack([truth[of], top_classes(probabilities, 1)[:, 0]])

    def strip(maps):
        if maps.error is not None:  # it could be read before
            raise InputError(str(maps.error))
        result = Result(localizer, maps, thresholds[halves[maps.number] % len(thresholds)], largest=part.largest)
        rank = rank_of(maps.probabilities[None], truth[maps.number, None])[0]
        found = result.found[:1 if rank == 1 else 2]
        captions = [f"{one.name} {one.probability:.0%}" for one in found]
        return _strip(result.picture, part, maps.number, [one.input_heat_map for one in found], [one.box for one in found], captions)

    every = localizer.class_maps_of(sources(part), choose, min(len(rows), BATCH), largest=part.largest)
    return _write(folder, part, in_order(strip, every, THREADS, THREADS))


def draw_score_maps(folder, records, rows, pictures, scores, rule, threshold, scale):
    """The same of anyone's score maps."""
    numbers, called = _numbers(records, rows, pictures), map_names(pictures)
    part, captions = pictures.rows(numbers), cam_base.short_names(pictures.categories)

    def strip(row):
        pixels = part.pixels(row)
        score_map = read_score_map(scores, called[numbers[row]])
        heat_map = heat_map_of(score_map, scale)
        boxes = RULES[rule](heat_map[None], score_map[None], pixels.shape[:2], threshold)
        return _strip(pixels, part, row, [heat_map], boxes, [captions[part.labels[row]]])

    return _write(folder, part, in_order(strip, range(len(part)), THREADS, THREADS))


def _numbers(records, rows, pictures):
    """Of rows of the records: where their pictures stand in the set."""
    place = {name: number for number, name in enumerate(pictures.names)}
    return [place[records.ids[row]] for row in rows]


def _strip(pixels, pictures, row, heat_maps, boxes, captions):
    true_boxes = pictures.boxes[row] if pictures.boxes else np.zeros((0, 4))
    if len(true_boxes):
        captions = [f"{caption}, IoU {best_iou(np.array(box), true_boxes):.2f}" for caption, box in zip(captions, boxes)]
    return ops.strip(pixels, heat_maps, boxes, captions, true_boxes=true_boxes)


def _write(folder, pictures, strips):
    """Write the strips in their order, in place of those of an earlier evaluation; returns how many."""
    os.makedirs(folder, exist_ok=True)
    remove_matching(folder, DRAWN)
    for number, (file, strip) in enumerate(zip(pictures.files, strips), 1):
        stem = os.path.splitext(os.path.basename(file))[0][:100]
        with replacing(os.path.join(folder, f"{number:02}-{stem}.jpg")) as opened:
            opened.write(ops.encode_jpeg(strip, comment=OWN_MARK))
    return len(pictures)
