"""Looking at every picture of a data set, or at anyone's score maps of them, and keeping Records."""

import os

import numpy as np

import data
import ops
from localization.records import Records
from ops.centre_box import centre_box_hits
from ops.max_box_acc import THRESHOLDS
from weights import InputError

GUESSES = 5  # ILSVRC allows five
BATCH = 64
LARGEST_SCORE_MAP = 1 << 24  # values


def judge(localizer, pictures, boxes_of, *, thresholds=THRESHOLDS, progress=iter):
    """Records of what a network finds in a PictureSet, and the lines about what was left out.

    localizer  a `Localizer`
    boxes_of   a function of heat maps [k, h, w] and the picture's (height, width) to
               boxes [k, 4] in its pixels, half-open
    progress   wraps the batches, to show how far it is
    raises     InputError when no class of the data is among the weights', or no
               picture can be read
    """
    matches = data.match_classes(localizer.classes, pictures.categories)
    pictures, said = _known(pictures, matches)
    guesses = min(GUESSES, len(localizer.classes))
    desk = _Desk(pictures, thresholds)
    for inputs, labels, rows, sizes in progress(data.viewing_batches(pictures, localizer.viewing, BATCH)):
        truth = np.zeros(len(inputs), int)
        truth[:len(labels)] = matches[labels.numpy()]
        seen = localizer(inputs, lambda chances: np.column_stack([top_classes(chances, guesses), truth]))
        ranks = rank_of(seen.probabilities, truth)
        for number, (row, size) in enumerate(zip(rows.numpy(), sizes.numpy())):
            desk.guess(ranks[number], seen.classes[number, :guesses])
            boxes = boxes_of(seen.heat_maps[number], size) if pictures.boxes else None
            desk.place(row, size, boxes, seen.class_maps[number, -1])
    said += [f"skipped {reason}" for _, reason in data.broken_files(pictures, desk.missing())]
    return desk.records(), said


def judge_score_maps(folder, pictures, boxes_of, *, thresholds=THRESHOLDS, progress=iter):
    """Records of anyone's score maps of the true classes: `<folder>/<id>.npy`, float [h, w] each.

    An id is a picture's path below the common folder of all, without its ending or
    with it. Classification is not judged. Raises InputError for a map that is missing
    or is no map.
    """
    desk = _Desk(pictures, thresholds)
    for row, name in enumerate(progress(picture_ids(pictures))):
        scores = _score_map(folder, name)
        size = data.read_picture(pictures.files[row]).shape[:2]
        heat_map = ops.normalise(scores)
        desk.place(row, size, boxes_of(heat_map[None], size) if pictures.boxes else None, scores)
    return desk.records(), []


def top_classes(probabilities, count):
    """The `count` most probable classes, best first: [N, K] to [N, count]."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]


def rank_of(probabilities, truth):
    """The true class's place among all, from 1, in the order of `top_classes`: [N, K], [N] to [N]."""
    own = np.take_along_axis(probabilities, truth[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < truth[:, None]
    return 1 + (probabilities > own).sum(1) + ((probabilities == own) & before).sum(1)


def picture_ids(pictures):
    """A name for each picture: its path below the common folder of all."""
    if pictures.draw or len(pictures) == 1:
        return [os.path.basename(file) for file in pictures.files]
    root = os.path.commonpath([os.path.dirname(file) for file in pictures.files])
    return [os.path.relpath(file, root) for file in pictures.files]


def _known(pictures, matches):
    """The rows whose class the weights know, and a line about those they do not."""
    missing = [category.label for category, match in zip(pictures.categories, matches) if match < 0]
    if len(missing) == len(matches):
        raise InputError(f"no class of {pictures.name} is among those of the weights")
    if not missing:
        return pictures, []
    return (pictures.rows(np.flatnonzero(matches[pictures.labels] >= 0)),
            [f"left out, since the weights do not know them: {'; '.join(missing)}"])


def _score_map(folder, name):
    for file in (f"{name}.npy", f"{os.path.splitext(name)[0]}.npy"):
        path = os.path.join(folder, file)
        if os.path.exists(path):
            break
    else:
        raise InputError(f"{os.path.join(folder, name)}.npy: no score map for this picture")
    try:
        scores = np.load(path, mmap_mode="r", allow_pickle=False)
        if scores.ndim != 2 or not 0 < scores.size <= LARGEST_SCORE_MAP or scores.dtype.kind not in "fiu":
            raise ValueError(f"it is {scores.dtype} {scores.shape}")
        scores = np.asarray(scores, np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a score map, float [h, w] ({error})") from None
    if not np.isfinite(scores).all():
        raise InputError(f"{path}: has values that are not finite")
    return scores


class _Desk:
    """Collects what is judged of each picture, row by row."""

    def __init__(self, pictures, thresholds):
        self.pictures, self.thresholds = pictures, np.asarray(thresholds)
        self.ids = picture_ids(pictures)
        self.rows, self.sizes, self.ranks, self.guesses = [], [], [], []
        self.ious, self.hits, self.reached, self.masks = [], ops.MaxBoxAcc(thresholds), ops.MaxBoxAccV2(thresholds), \
            ops.PxAP(thresholds)

    def guess(self, rank, guesses):
        self.ranks.append(rank)
        self.guesses.append(guesses)

    def place(self, row, size, boxes, class_map):
        """The boxes (the last one the true class's) and the true class's map of one picture."""
        self.rows.append(row)
        self.sizes.append(size)
        height, width = map(int, size)
        if self.pictures.boxes:
            true = self.pictures.boxes[row]
            self.ious.append(ops.iou(np.asarray(boxes)[:, None], true).max(1) if len(true) else np.zeros(len(boxes)))
            levels = ops.level_boxes(ops.score_map(class_map))
            for metric in (self.hits, self.reached):
                metric.add(levels, ops.scale_boxes(true, (width, height)))
        if self.pictures.masks:
            self.masks.add(ops.score_map(class_map), *self.pictures.masks(row))

    def missing(self):
        return np.setdiff1d(np.arange(len(self.pictures)), self.rows)

    def records(self):
        if not self.rows:
            raise InputError(f"{self.pictures.name}: none of its pictures could be read")
        kept = self.pictures.rows(self.rows)
        found = {}
        if kept.boxes:
            ious = np.array(self.ious)
            found = {"guess_iou": ious[:, :-1], "known_iou": ious[:, -1], "hits": self.hits.hits,
                     "reached": self.reached.hits.sum(0, dtype=np.uint8),
                     "baseline": centre_box_hits(kept.boxes, self.sizes)}
        if kept.masks:
            found["masks"] = self.masks.histograms.swapaxes(0, 1)
        if kept.excluded is not None:
            found["excluded"] = kept.excluded
        return Records([self.ids[row] for row in self.rows],
                       [_name(kept.categories[label]) for label in kept.labels],
                       np.array(self.ranks) if self.ranks else None,
                       np.array(self.guesses) if self.guesses else None, self.thresholds, **found)


def _name(category):
    return category.wnid or category.label
