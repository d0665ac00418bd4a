"""tf.data pipelines: pictures as batches, for training and for looking at them."""

import atexit
import functools
import os
import stat
import weakref

import numpy as np

from cam_base import InputError
from ops.quiet_tensorflow import tf
from .augmentation import Augmentation, augment
from .decoding import LARGE, read_reduced
from .preparation import prepare

PARALLEL_CALLS = os.cpu_count() or 1
# Large pictures are read with so many pixels along a side for each that the network sees. A crop may be a quarter
# of a side: of a picture four times as wide as it is high, 35 % of the area and 3 : 4.
VIEWING_PIXELS, TRAINING_PIXELS = 2, 8
SMALL_FILE = 1 << 20  # bytes
FILES_AT_ONCE = 64
PROGRESSIVE = 0xc2  # behind 0xff, the marker of a JPEG whose scans refine each other
_running = weakref.WeakSet()


def training_batches(pictures, preprocessing, batch, *, seed, epoch, start=0, augmentation=Augmentation(), share=(0, 1)):
    """One epoch of `pictures`, shuffled and augmented: (input, labels, positions).

    input float32 [batch, size, size, 3]; labels int32 [batch]; positions int64
    [batch], places in this epoch's order. The order and every crop depend on
    `seed`, `epoch` and the row alone, so an epoch can go on from any position
    `start`. Files that cannot be read, or are larger than `pictures.largest`, are
    left out: see `broken_files`. A last batch that is not full is dropped, unless
    it is the only one. Drawn pictures are new in every epoch, unless they are `held`:
    they are seen whole, as they will be judged.

    share  (number, workers): of each batch only this worker's part (`share_of`). The
           batches then have fixed places in the order, and a file that cannot be read
           leaves its worker's part one shorter, down to none: so all workers have as
           many batches, whoever has the broken files.
    """
    order = epoch_order(pictures, seed, epoch)
    with_files, read = _reader(pictures, epoch, TRAINING_PIXELS * preprocessing.size)

    change, see = _traced(augment, preprocessing, augmentation), _traced(prepare, preprocessing)

    @tf.autograph.experimental.do_not_convert
    def load(position, row, *file):
        picture, size = read(row, *file)
        if pictures.draw is None or pictures.held:
            picture = change(picture, size, tf.stack([seed * 100_003 + epoch, row]))
        else:
            picture = see(picture)
        return picture, tf.gather(labels, row), position

    labels = tf.constant(pictures.labels)
    if share[1] > 1:
        return _run(_parts(with_files, load, order, preprocessing.size, batch, start, share))
    positions = np.arange(start, len(order), dtype=np.int64)
    return _run(
        with_files(tf.data.Dataset.from_tensor_slices((positions, order[start:])))
        .map(load, num_parallel_calls=PARALLEL_CALLS, deterministic=True)
        .ignore_errors()
        .batch(batch)
        .enumerate()
        .filter(lambda number, rows: (tf.size(rows[1]) == batch) | (number + start == 0))
        .map(lambda _, rows: rows)
        .prefetch(2)
        .with_options(_without_tuner()))


def share_of(count, number, workers):
    """(first, end): the part of `count` rows that worker `number` of so many takes; none is larger than another by more than one."""
    return count * number // workers, count * (number + 1) // workers


def _parts(with_files, load, order, side, batch, start, share):
    """The dataset of one worker's parts of all full batches from `start` on, or of the only one where that is not full."""
    full = min(batch, len(order))
    first, end = share_of(full, *share)
    starts = np.arange(start, len(order) - full + 1, full)
    positions = (starts[:, None] + np.arange(first, end)).reshape(-1)
    blank = tf.zeros([side, side, 3]), 0, np.int64(-1)

    @tf.autograph.experimental.do_not_convert
    def load_or_blank(*components):
        one = tf.data.Dataset.from_tensors(components).map(load).ignore_errors()
        return one.concatenate(tf.data.Dataset.from_tensors(blank)).take(1).get_single_element()

    @tf.autograph.experimental.do_not_convert
    def readable(inputs, labels, positions):
        return [tf.boolean_mask(values, positions >= 0) for values in (inputs, labels, positions)]

    return (with_files(tf.data.Dataset.from_tensor_slices((positions, order[positions])))
            .map(load_or_blank, num_parallel_calls=PARALLEL_CALLS, deterministic=True)
            .batch(end - first)
            .map(lambda *rows: tuple(readable(*rows)))
            .prefetch(2)
            .with_options(_without_tuner()))


def epoch_order(pictures, seed, epoch):
    """The rows of one epoch in their shuffled order, int64."""
    return np.random.default_rng([seed, epoch]).permutation(len(pictures))


def viewing_batches(pictures, preprocessing, batch):
    """Every picture whole, in order: (input, labels, rows, sizes).

    input float32 [batch, size, size, 3]; labels int32 and rows int64 [n]; sizes
    int32 [n, 2], height and width of the upright picture, though a large one is
    read with fewer pixels (see `read_reduced`). The input's last batch is filled
    up with zeros to `batch`, so compiled code sees one shape; n counts the real
    pictures. Files that cannot be read are left out.
    """
    with_files, read = _reader(pictures, 0, VIEWING_PIXELS * preprocessing.size)
    labels, see = tf.constant(pictures.labels), _traced(prepare, preprocessing)

    @tf.autograph.experimental.do_not_convert
    def load(row, *file):
        picture, size = read(row, *file)
        return see(picture), tf.gather(labels, row), row, size

    @tf.autograph.experimental.do_not_convert
    def fill(inputs, labels, rows, sizes):
        missing = batch - tf.shape(inputs)[0]
        inputs = tf.pad(inputs, [[0, missing], [0, 0], [0, 0], [0, 0]])
        return tf.ensure_shape(inputs, [batch, None, None, 3]), labels, rows, sizes

    return _run(
        with_files(tf.data.Dataset.range(len(pictures)))
        .map(load, num_parallel_calls=PARALLEL_CALLS, deterministic=True)
        .ignore_errors()
        .batch(batch)
        .map(fill)
        .prefetch(2)
        .with_options(_without_tuner()))


@functools.lru_cache(32)
def _traced(function, *settings):
    """`function(pixels, ..., *settings)`, traced once for all epochs and sets: that takes longer than a small one."""
    return tf.function(lambda pixels, *others: function(pixels, *others, *settings), autograph=False,
                       reduce_retracing=True)


def _run(dataset):
    """An iterator over a dataset that is stopped, at the latest, before Python ends.

    The threads of tf.data call Python to read pictures. One that does so while
    Python comes to its end never returns, and the program with it.
    """
    def batches():
        yield from dataset

    running = batches()
    _running.add(running)
    return running


@atexit.register
def _stop_all():
    for batches in list(_running):
        batches.close()


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
            read_reduced(pictures.files[row], 1, pictures.largest)
        except InputError as error:
            broken.append((pictures.files[row], str(error)))
    return broken


def _reader(pictures, epoch, reduce_to):
    """(with_files, read): how a dataset whose last component is a row is made ready, and a function of a row, and what
    that adds to it, that gives its picture, uint8 [h, w, 3], and its full size, int32 [2].

    Files are looked up FILES_AT_ONCE rows ahead: a million of them would take long to start with.
    Ordinary JPEGs and PNGs are decoded in the graph: Python, whose lock only one
    thread holds at a time, is asked about the others alone. Both ways give the
    same pixels.
    """
    def read(row):
        if pictures.draw is None:
            picture, size = read_reduced(pictures.files[row], reduce_to, pictures.largest)
        else:
            picture = pictures.draw(row, epoch)
            size = picture.shape[:2]
        return picture, np.array(size, np.int32)

    def in_python(row, *_):
        picture, size = tf.numpy_function(read, [row], [tf.uint8, tf.int32])
        return tf.ensure_shape(picture, [None, None, 3]), tf.ensure_shape(size, [2])

    if pictures.draw is not None:
        return lambda rows: rows, in_python

    def look_up(rows):
        files = [pictures.files[row] for row in rows]
        return np.array([os.fsencode(file) for file in files], object), np.array([_is_small_file(file) for file in files])

    @tf.autograph.experimental.do_not_convert
    def add_files(*components):
        files, small = tf.numpy_function(look_up, [components[-1]], [tf.string, tf.bool])
        return *components, tf.ensure_shape(files, [None]), tf.ensure_shape(small, [None])

    def of_small_file(row, file):
        contents = tf.io.read_file(file)
        sides = _ordinary_sides(contents, min(LARGE, pictures.largest + 1))
        return tf.cond(sides[0] > 0, lambda: (_decode(contents), sides), lambda: in_python(row))

    return (lambda rows: rows.batch(FILES_AT_ONCE).map(add_files).unbatch(),
            lambda row, file, small: tf.cond(small, lambda: of_small_file(row, file), lambda: in_python(row)))


def _is_small_file(path):
    """Whether it is a regular file of at most SMALL_FILE bytes, which the graph may read whole."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= SMALL_FILE


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _decode(contents):
    """uint8 [h, w, 3] of an ordinary JPEG or PNG."""
    return tf.cond(tf.io.is_jpeg(contents),
                   lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"),
                   lambda: tf.io.decode_png(contents, channels=3))


@tf.function(input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)], autograph=False)
def _ordinary_sides(contents, limit):
    """int32 [2], height and width of what the graph may decode: a baseline JPEG or a PNG that lies as it is to be
    seen, of less than `limit` pixels. Zeros for other files."""
    sides = tf.ensure_shape(_sides(contents), [2])
    pixels = tf.reduce_prod(tf.cast(sides, tf.int64))
    ordinary = (pixels > 0) & (pixels < limit) & ~_may_be_turned(contents)
    return tf.where(ordinary, sides, 0)


def _sides(contents):
    """int32 [2], height and width by the header of a baseline JPEG or a PNG; zeros for other files."""
    head = tf.io.decode_raw(tf.strings.substr(contents, 0, 26), tf.uint8)
    is_png = tf.strings.substr(contents, 0, 8) == b"\x89PNG\r\n\x1a\n"
    # Of a progressive JPEG the scans have to be counted first.
    every = tf.io.decode_raw(contents, tf.uint8)
    baseline = tf.io.is_jpeg(contents) & ~tf.reduce_any((every[:-1] == 0xff) & (every[1:] == PROGRESSIVE))

    def of_png():
        # Both sides are big-endian, behind the signature and the first chunk's length and name.
        width, height = (tf.bitcast(tf.reverse(head[place:place + 4], [0]), tf.int32) for place in (16, 20))
        depth, colours = head[24], head[25]
        # Transparency, and 16 bits, are `read_reduced`'s (`Header.by_pillow`, `Header.deep`).
        plain = ((colours == 0) | (colours == 2) | (colours == 3)) & (depth <= 8) & ~_has_letters(every, b"tRNS")
        return tf.where(plain, tf.stack([height, width]), 0)

    return tf.cond(
        baseline, lambda: tf.io.extract_jpeg_shape(contents)[:2],
        lambda: tf.cond(is_png & (tf.size(head) == 26), of_png, lambda: tf.zeros([2], tf.int32)))


def _may_be_turned(contents):
    """Whether the letters "exif", large or small, stand in it: of an orientation only Python knows.

    A JPEG has "Exif", a PNG the chunk "eXIf" or, by ImageMagick, "Raw profile type exif".
    """
    return _has_letters(tf.bitwise.bitwise_or(tf.io.decode_raw(contents, tf.uint8), 32), b"exif")


def _has_letters(every, four):
    """Whether four bytes stand somewhere among these, uint8 [n]."""
    size = tf.maximum(tf.size(every) - 3, 0)
    a, b, c, d = (every[place:place + size] == letter for place, letter in enumerate(four))
    return tf.reduce_any(a & b & c & d)
