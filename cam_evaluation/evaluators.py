"""A network, anyone's score maps or anyone's guesses on every picture of a data set, as Records."""

import os
from collections import Counter

import numpy as np

import cam_base
import cam_data
import ops
from cam_base import InputError
from cam_base.threads import in_order
from localization import top_classes
from localization.boxes import RULES
from localization.localizer import BATCH
from metrics import THRESHOLDS
from metrics.ilsvrc import GUESSES
from metrics.score_maps import SIZE
from .collector import Collector, class_name, guess_records
from .records import Records

LARGEST_SCORE_MAP = 1 << 24  # values
NAMED = 10  # classes that a message names
THREADS = os.cpu_count() or 1  # threads


def evaluate_network(localizer, pictures, *, batch=BATCH, thresholds=THRESHOLDS, progress=iter, keep=None,
                     notice=None):
    """Records of what a network finds in a PictureSet, lines about what was left out, and what was noticed of each picture.

    localizer  a `Localizer`, whose rule and threshold draw the boxes
    batch      pictures that the network sees at once
    progress   wraps the pictures, to show how far it is
    keep       of a picture's pixels, as of `Localizer.stream`
    notice     a function of each picture's PictureMaps, refined maps, [guesses + 1, h, w], and boxes, [guesses + 1, 4] (None where
               no boxes are judged), whose answers come third; the last class is the true one
    raises     InputError when no class of the data is among the weights', or no
               picture can be read
    """
    matches = cam_base.match_classes(localizer.classes, pictures.categories)
    pictures, warnings = _known(pictures, matches)
    warnings += _clipped(pictures)
    truth = matches[pictures.labels]
    guesses = min(GUESSES, len(localizer.classes))
    collector = Collector(pictures, thresholds)

    def choose(probabilities, rows):
        return np.column_stack([top_classes(probabilities, guesses), truth[rows]])

    def evaluate(maps):
        try:
            if maps.error is not None:
                raise maps.error
            pictures.check_size(maps.number, maps.size)
        except ValueError as error:
            return f"skipped {error}", None, None
        boxes, refined = None, localizer.refined(maps.maps, maps.colours)
        if pictures.boxes:
            boxes = RULES[localizer.rule](localizer.heat_maps(refined), maps.maps, maps.size, localizer.threshold)
        rank = rank_of(maps.probabilities[None], truth[maps.number, None])[0]
        try:
            row = collector.evaluate(maps.number, maps.size, boxes, refined[-1])
        except InputError as error:  # of its mask
            return f"skipped {error}", None, None
        return None, (row, rank, truth[maps.number], maps.classes[:guesses], boxes), notice and notice(maps, refined, boxes)

    every = localizer.class_maps_of(sources(pictures), choose, min(batch, len(pictures)), keep=keep, largest=pictures.largest)
    noticed = []
    for warning, found, seen in progress(in_order(evaluate, every, THREADS, 2 * THREADS)):
        if warning:
            warnings.append(warning)
        else:
            collector.add(found[0])
            collector.add_guesses(*found[1:])
            noticed += [seen] if notice else []
    return collector.records(warnings, len(localizer.classes)), warnings, noticed


def sources(pictures):
    """What a localizer takes for each row of a PictureSet, one by one: its file, or the picture that it draws."""
    return (pictures.draw(row, 0) if pictures.draw else file for row, file in enumerate(pictures.files))


def evaluate_score_maps(folder, pictures, rule, threshold, scale="min-max", progress=iter, *, thresholds=THRESHOLDS, notice=None):
    """As `evaluate_network`, of anyone's score maps of the true classes, `<folder>/<id>.npy`, float [h, w].

    An id is the picture's name in its set (`PictureSet.ids`), or that without its
    ending. Classification is not judged. Pictures are read for their sizes only where
    boxes are judged and the set does not say them. Raises InputError for a map that is
    missing or is no map.

    rule, threshold  of the boxes: a name in RULES, and a share of the map's maximum
    scale            of the maps, see `ops.normalise`
    notice           a function of a row, its heat map, its picture's size and the box that is judged, [1, 4] (both None where no boxes are)
    """
    collector, warnings = Collector(pictures, thresholds), _clipped(pictures)
    called = map_names(pictures)

    def evaluate(row):
        scores = read_score_map(folder, called[row])
        try:
            size, heat_map = _size(pictures, row), heat_map_of(scores, scale)
            boxes = RULES[rule](heat_map[None], scores[None], size, threshold) if pictures.boxes else None
            seen = notice and notice(row, heat_map, size, boxes)
        except InputError as error:
            return f"skipped {error}", None, None
        # As of a network's own maps: the scale that cuts negative values off does so for the metrics, too.
        judged = np.maximum(scores, 0) if scale == "max" else scores
        try:
            return None, collector.evaluate(row, size, boxes, judged), seen
        except InputError as error:  # of its mask
            return f"skipped {error}", None, None

    noticed = []
    for warning, found, seen in progress(in_order(evaluate, range(len(pictures)), THREADS, 2 * THREADS)):
        if warning:
            warnings.append(warning)
        else:
            collector.add(found)
            noticed += [seen] if notice else []
    return collector.records(warnings), warnings, noticed


def evaluate_guesses(path, pictures):
    """Records of guesses in the ILSVRC kit's form, a line for each picture of a set that `cam_data.open_validation` gave.

    Raises InputError for a file that is none, or has another number of lines.
    """
    classes, boxes = cam_data.read_submission(path, len(pictures), len(pictures.categories))
    return Records(pictures.ids, [class_name(pictures.categories[label]) for label in pictures.labels], THRESHOLDS,
                   excluded=pictures.excluded, guesses=classes - 1, classes=np.array(len(pictures.categories)),
                   **guess_records(classes - 1, boxes, pictures.labels, pictures.boxes))


def write_submission(path, records, classes, pictures):
    """Write the guesses of Records in the ILSVRC kit's form, a line for each picture of the set; 0 for none.

    classes   Categories that the records' guesses are numbers of, matched as the evaluation matches them;
              those that the kit has not take their place as class 0
    pictures  what `cam_data.open_validation` gave
    """
    kit_ids = np.zeros(len(classes), int)
    matches = cam_base.match_classes(classes, pictures.categories)
    kit_ids[matches[matches >= 0]] = np.flatnonzero(matches >= 0) + 1
    place = {name: row for row, name in enumerate(pictures.ids)}
    rows = [place[name] for name in records.ids]
    lines = np.zeros((len(pictures), records.guesses.shape[1]), int)
    boxes = np.zeros((*lines.shape, 4))
    lines[rows], boxes[rows] = kit_ids[records.guesses], records.guess_boxes
    cam_data.write_submission(path, lines, boxes)


def rank_of(probabilities, truth):
    """The true class's place among all, from 1, in the order of `top_classes`: [N, K], [N] to [N]."""
    own = np.take_along_axis(probabilities, truth[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < truth[:, None]
    return 1 + (probabilities > own).sum(1) + ((probabilities == own) & before).sum(1)


def _known(pictures, matches):
    """The rows whose class the weights know, and a line about those they do not."""
    missing = [category.label for category, match in zip(pictures.categories, matches) if match < 0]
    rows = np.flatnonzero(matches[pictures.labels] >= 0)
    if not len(rows):
        raise InputError(f"no class of {pictures.name} is among those of the weights, by wnid or else by name; "
                         f"it has {_few(missing)}")
    if not missing:
        return pictures, []
    return pictures.rows(rows), [f"left out, since the weights do not know them: {_few(missing)}"]


def _clipped(pictures):
    """A line about true boxes that were cut at the border of their pictures, if there are any."""
    count = 0 if pictures.clipped is None else int(pictures.clipped.sum())
    return [f"{count} true {'box sticks' if count == 1 else 'boxes stick'} out of the picture and "
            f"{'was' if count == 1 else 'were'} cut at its border"] if count else []


def _few(names):
    return "; ".join(names[:NAMED]) + (f"; and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _size(pictures, row):
    """(height, width); None where nothing needs it."""
    if not pictures.boxes:
        return None
    return pictures.pixels(row).shape[:2] if pictures.sizes is None else pictures.sizes[row]


def heat_map_of(scores, scale):
    """What boxes are drawn from, float32 [224, 224] in [0, 1]: a score map as large as the protocol's, whatever its own grid is."""
    return ops.normalise(ops.upsample(scores, SIZE), scale)


def map_names(pictures):
    """What each row's score map may be called, in a list each: its name, and that without its ending, and its file's, and that
    without its ending, where no other row's are so."""
    ids, files = pictures.names, list(map(os.path.basename, pictures.files))
    others = [[os.path.splitext(name)[0] for name in ids], files, [os.path.splitext(name)[0] for name in files]]
    rows = [Counter(names) for names in others]
    return [[name, *(other for other, count in zip(row, rows) if count[other] == 1)] for name, *row in zip(ids, *others)]


def read_score_map(folder, names):
    """float32 [h, w] of `<folder>/<name>.npy`, by the first of the names that is there; InputError for what is none."""
    for name in names:
        path = os.path.join(folder, f"{name}.npy")
        if os.path.exists(path):
            break
    else:
        raise InputError(f"{os.path.join(folder, names[0])}.npy: no score map for this picture"
                         + ("" if len(names) == 4 else "; other pictures, or rows, have its file's name, so the map must be called by its whole name"))
    try:
        with cam_base.open_regular(path):  # a pipe would keep NumPy waiting
            scores = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(scores, np.ndarray):
            raise ValueError("it is an archive of arrays")
        if scores.ndim != 2 or not 0 < scores.size <= LARGEST_SCORE_MAP or scores.dtype.kind not in "fiu":
            raise ValueError(f"it is {scores.dtype} {scores.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            own, scores = scores, np.asarray(scores, np.float32)
            spread = scores.max() - scores.min()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # NumPy has many kinds for damaged files
        raise InputError(f"{path}: not a score map, float [h, w] ({error})") from None
    if not np.isfinite(spread):
        raise InputError(f"{path}: has values that are not finite, or too large for float32")
    if own.any() and not scores.any():
        raise InputError(f"{path}: has values that are too small for float32: multiply them by some large number")
    return scores
