"""The data of a run: its picture sets, and the batches that come of them or of their frozen maps."""

import hashlib
import json
import os
from dataclasses import replace

import numpy as np

import cam_data
import nets
from cam_base import InputError, Preprocessing, short_names
from cam_base.files import is_utf8
from cam_base.terminal import counted, warn
from ops.quiet_tensorflow import tf

# So many times as many pictures as another class has are said.
UNBALANCED, NAMED = 10, 10
GROWING, STEP_OF_SIZE = 2 / 3, 8  # of --first-size: the share of all epochs, and pixels


def open_data(settings):
    """The training and validation PictureSet; InputError where there is nothing to tell apart."""
    splits = ("train",) if settings.hold_out else ("train", "val")
    sets = [replace(cam_data.open_set(settings.data, split), largest=round(settings.largest_picture * 1e6)) for split in splits]
    if not settings.hold_out:
        sets[1] = sets[1].of_classes(sets[0].categories)
        refuse_common(*sets)
    for _, label in sets[0].categories:
        if not is_utf8(label):  # as weights files hold the names of classes
            raise InputError(f"{settings.data}: the class {label!r} has a name that is not UTF-8: rename its folder")
    if len(sets[0].categories) < 2:
        raise InputError(f"{settings.data} has one class only, {sets[0].categories[0].label!r}: "
                         "training needs at least two to tell apart")
    if settings.classes:
        sets = [pictures.first_classes(settings.classes) for pictures in sets]
    if settings.rows:
        sets[0] = sets[0].first_rows(settings.rows)
    if settings.hold_out:
        sets = held_out(sets[0], settings.hold_out, settings.seed)
    if not len(sets[1]):
        raise InputError(f"{sets[1].name} has no picture of the classes that are trained: hold some out by --hold-out")
    if len(np.unique(sets[0].labels)) < 2:
        raise InputError(f"{sets[0].name}: {counted(len(sets[0]), 'picture')} of one class alone: "
                         "training needs at least two to tell apart")
    return sets


def refuse_common(training, validation):
    """InputError where a validation picture is trained on."""
    judged = set() if training.draw else set(validation.files)
    if any(file in judged for file in training.files):
        raise InputError(f"{training.name} and {validation.name} have pictures in common: hold some out by --hold-out")


def held_out(pictures, count, seed):
    """[the other pictures, `count` of them]: drawn at random, of each class as many, but half of what it has at most.

    A picture that has rows of several classes is held out with all of them.
    """
    order = np.random.default_rng([seed, len(pictures)]).permutation(len(pictures))
    labels = pictures.labels[order]
    candidates = order[cam_data.places_in_class(labels) < np.bincount(labels)[labels] // 2]
    if count > len(candidates):
        raise InputError(f"--hold-out {count}: of {counted(len(pictures), 'picture')}, {len(candidates)} can be held out, half of each class")
    chosen = {pictures.files[row] for row in candidates[pictures.rows(candidates).spread_rows(count)]}
    held = np.array([file in chosen for file in pictures.files])
    lost = np.setdiff1d(pictures.labels, pictures.labels[~held])
    if len(lost):
        raise InputError(f"--hold-out {count} leaves no picture of {pictures.categories[lost[0]].label!r} to train on")
    return [replace(pictures.rows(np.flatnonzero(which)), name=f"{pictures.name}, {what}") for which, what in
            ((~held, f"but for {count:,} of its pictures"), (held, f"{count:,} of its pictures"))]


def class_counts(pictures, most=10):
    """"cat 120, dog 98": the first classes in their order, and how many there are besides."""
    counts = np.bincount(pictures.labels, minlength=len(pictures.categories))
    shown = [f"{name} {count}" for name, count in zip(short_names(pictures.categories), counts[:most])]
    rest = [f"and {len(counts) - most} more of {counts[most:].min()} to {counts[most:].max()}"] if len(counts) > most else []
    return ", ".join(shown + rest)


def balanced_weights(pictures):
    """float32 [classes]: weights of the loss by which classes count alike, whose mean over the pictures is 1; 0 for a class without any."""
    counts = np.bincount(pictures.labels, minlength=len(pictures.categories))
    return np.divide(len(pictures) / np.count_nonzero(counts), counts, out=np.zeros(len(counts), np.float32), where=counts > 0, casting="unsafe")


def uneven_classes(pictures, weighted):
    """Lines about classes that have no pictures to train on, or, unless the loss is weighted, far fewer than others."""
    counts, said = np.bincount(pictures.labels, minlength=len(pictures.categories)), []
    names = short_names(pictures.categories)
    without = [name for name, count in zip(names, counts) if not count]
    if without:
        few = ", ".join(map(repr, without[:NAMED])) + f" and {len(without) - NAMED} more" * (len(without) > NAMED)
        said.append(f"{counted(len(without), 'class')} without a training picture, of which nothing can be learnt: {few}")
    least, most = (pick(np.flatnonzero(counts), key=counts.__getitem__) for pick in (min, max))
    if counts[most] >= UNBALANCED * counts[least] and not weighted:
        said.append(f"classes are unbalanced, from {counted(counts[least], 'picture')} of {names[least]!r} to {counts[most]:,} of "
                    f"{names[most]!r}, and no weights are applied: a rare class may hardly be learnt; --class-weights balanced lets all count alike")
    return said


class Pictures:
    """Batches of a PictureSet: augmented to train on, whole to judge by. FrozenMaps answers the same calls."""

    def __init__(self, pictures, settings, share):
        self.pictures, self.settings, self.share = pictures, settings, share
        self.preprocessing = Preprocessing.from_dict(settings.preprocessing)
        self.augmentation = cam_data.Augmentation(settings.crop, settings.jitter, settings.cutout, not settings.no_mirror)

    def training_batches(self, batch, *, epoch, **place):
        preprocessing = replace(self.preprocessing, size=size_of_epoch(self.settings, epoch))
        return cam_data.training_batches(self.pictures, preprocessing, batch, epoch=epoch, augmentation=self.augmentation, share=self.share,
                                         **place)

    def viewing_batches(self, batch):
        for inputs, labels, _, _ in cam_data.viewing_batches(self.pictures, self.preprocessing, batch):
            yield inputs, labels


def size_of_epoch(settings, epoch):
    """Side of the input in this epoch, from 0: it grows evenly, by eights, over the first two thirds of all epochs."""
    last = settings.preprocessing["size"]
    if not settings.first_size or settings.first_size == last:
        return last
    part = min(1, epoch / max(1, GROWING * settings.epochs))
    return min(last, settings.first_size + round(part * (last - settings.first_size) / STEP_OF_SIZE) * STEP_OF_SIZE) if part < 1 else last


def open_sources(settings, net, data, training, validation, share=(0, 1)):
    """Both sets as batches: of pictures, or where features are frozen of maps in the run's folder.

    data   the fingerprint of both sets
    share  of each batch to train on, as `cam_data.training_batches` takes it
    """
    preprocessing = Preprocessing.from_dict(settings.preprocessing)
    if not settings.freeze_features:
        return [Pictures(pictures, settings, share) for pictures in (training, validation)]
    maps = tf.function(lambda inputs: net(tf.cast(inputs, settings.precision))[1][net.frozen], autograph=False)
    shape = maps.get_concrete_function(
        tf.TensorSpec([1, preprocessing.size, preprocessing.size, 3])).structured_outputs.shape[1:]
    made_of = {"layers": _digest_of_layers(net), "precision": settings.precision,
               "network": settings.network}
    return [cam_data.frozen_maps(
        os.path.join(settings.out, f"frozen-{split}.npy"), pictures, preprocessing, maps, shape,
        mirrored=split == "training" and not settings.no_mirror,
        made_of=made_of | {"pictures": hashlib.sha256(json.dumps(data[split]).encode()).hexdigest()})
            for split, pictures in (("training", training), ("validation", validation))]


def _digest_of_layers(net):
    """SHA-256 of the variables in front of what is trained anew."""
    digest = hashlib.sha256()
    for name, variable in sorted(nets.named_variables(net).items()):
        if not nets.is_head(net, name):
            digest.update(name.encode() + variable.numpy().tobytes())
    return digest.hexdigest()


class BrokenFiles:
    """Says once of each broken file that it is skipped, and how many there are."""

    def __init__(self, pictures):
        self.pictures, self.named = pictures, set()

    def name(self, rows):
        new = [reason for file, reason in cam_data.broken_files(self.pictures, rows) if file not in self.named]
        self.named.update(self.pictures.files[row] for row in rows)
        for reason in new:
            warn(f"skipped {reason}")
        if new:
            warn(f"{len(self.named)} of {len(self.pictures)} files are skipped")
