"""tf.data pipelines: pictures as batches, for training and for looking at them."""

import os

import numpy as np

from cam_base import InputError
from cam_data.decoding import decode, read_picture
from cam_data.preparation import normalise_pixels, prepare
from ops.quiet_tensorflow import tf

# Random resized crops (Szegedy et al., 2015, section 6), but milder: a crop of 8 %
# of a picture, as theirs may be, seldom shows what a small picture is of.
CROP_AREA = (0.35, 1.0)
CROP_PROPORTIONS = (3 / 4, 4 / 3)
PARALLEL_CALLS = os.cpu_count() or 1


def training_batches(pictures, preprocessing, batch, *, seed, epoch, start=0):
    """One epoch of `pictures`, shuffled and augmented: (input, labels, positions).

    input float32 [batch, size, size, 3]; labels int32 [batch]; positions int64
    [batch], places in this epoch's order. The order and every crop depend on
    `seed`, `epoch` and the row alone, so an epoch can go on from any position
    `start`. Files that cannot be read are left out: see `broken_files`. A last
    batch that is not full is dropped, unless it is the only one. Drawn pictures
    are new in every epoch: they are seen whole, as they will be judged.
    """
    order = epoch_order(pictures, seed, epoch)
    read = _reader(pictures, epoch)

    def load(position, row):
        picture = read(row)
        if pictures.draw is None:
            picture = _augment(tf.cast(picture, tf.float32), preprocessing,
                               tf.stack([seed * 100_003 + epoch, row]))
            picture = normalise_pixels(picture, preprocessing)
        else:
            picture = prepare(picture, preprocessing)
        return picture, tf.gather(labels, row), position

    labels = tf.constant(pictures.labels)
    positions = np.arange(start, len(order), dtype=np.int64)
    return (tf.data.Dataset.from_tensor_slices((positions, order[start:]))
            .map(load, num_parallel_calls=PARALLEL_CALLS, deterministic=True)
            .ignore_errors()
            .batch(batch)
            .enumerate()
            .filter(lambda number, rows: (tf.size(rows[1]) == batch) | (number + start == 0))
            .map(lambda _, rows: rows)
            .prefetch(2)
            .with_options(_without_tuner()))


def epoch_order(pictures, seed, epoch):
    """The rows of one epoch in their shuffled order, int64."""
    return np.random.default_rng([seed, epoch]).permutation(len(pictures))


def viewing_batches(pictures, preprocessing, batch):
    """Every picture whole, in order: (input, labels, rows, sizes).

    input float32 [batch, size, size, 3]; labels int32 and rows int64 [n]; sizes
    int32 [n, 2], height and width of the upright picture. The input's last
    batch is filled up with zeros to `batch`, so compiled code sees one shape;
    n counts the real pictures. Files that cannot be read are left out.
    """
    read, labels = _reader(pictures, 0), tf.constant(pictures.labels)

    def load(row):
        picture = read(row)
        return prepare(picture, preprocessing), tf.gather(labels, row), row, tf.shape(picture)[:2]

    def fill(inputs, labels, rows, sizes):
        missing = batch - tf.shape(inputs)[0]
        inputs = tf.pad(inputs, [[0, missing], [0, 0], [0, 0], [0, 0]])
        return tf.ensure_shape(inputs, [batch, None, None, 3]), labels, rows, sizes

    return (tf.data.Dataset.range(len(pictures))
            .map(load, num_parallel_calls=PARALLEL_CALLS, deterministic=True)
            .ignore_errors()
            .batch(batch)
            .map(fill)
            .prefetch(2)
            .with_options(_without_tuner()))


def _without_tuner():
    """Options that leave tf.data's tuner off.

    In TensorFlow 2.21 the end of an iterator waits for the tuner's thread, which
    sleeps for up to a minute: 20 or 40 seconds were lost at the end of many epochs.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def broken_files(pictures, rows):
    """[(file, reason)] of those of `rows` whose files cannot be read: those a pipeline left out."""
    broken = []
    for row in rows:
        try:
            read_picture(pictures.files[row])
        except InputError as error:
            broken.append((pictures.files[row], str(error)))
    return broken


def _reader(pictures, epoch):
    """A function of a row (scalar tensor) that gives its picture, uint8 [H, W, 3]."""
    if pictures.draw is None:
        files = tf.constant([os.fsencode(file) for file in pictures.files])
        return lambda row: decode(tf.io.read_file(tf.gather(files, row)))
    return lambda row: tf.ensure_shape(
        tf.numpy_function(lambda row: pictures.draw(row, epoch), [row], tf.uint8), [None, None, 3])


def _augment(picture, preprocessing, seed):
    """A random crop of random proportions, resized to the network's input, mirrored half the time."""
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(picture), tf.zeros([1, 0, 4]), seed, min_object_covered=0.0,
        aspect_ratio_range=CROP_PROPORTIONS, area_range=CROP_AREA, use_image_if_no_bounding_boxes=True)
    crop = tf.slice(picture, begin, extent)
    size = preprocessing.size
    resized = tf.image.resize(crop, [size, size], preprocessing.interpolation,
                              antialias=preprocessing.antialias)
    return tf.image.stateless_random_flip_left_right(tf.ensure_shape(resized, [size, size, 3]), seed + 1)
