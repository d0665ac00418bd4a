"""Pixels to network input, as the weights' preprocessing asks."""

from ops.quiet_tensorflow import tf


def prepare(picture, preprocessing):
    """The whole picture as a network sees it: float32 [size, size, 3].

    picture: [H, W, 3], 0..255, RGB, any dtype. Both axes are resized on their
    own, so a box in the input is a box in the picture by two factors.
    """
    size = preprocessing.size
    return normalise_pixels(resize(picture, [size, size], preprocessing), preprocessing)


def prepare_centre_crop(picture, preprocessing):
    """The picture as the weights' origin saw it to classify: float32 [size, size, 3].

    The shorter side is resized to `preprocessing.centre_crop` (the longer one
    rounded down, as torchvision does), or both where it is `squashed`, and the
    centre is cut out.
    """
    size, shorter = preprocessing.size, preprocessing.centre_crop
    if not shorter:
        return prepare(picture, preprocessing)
    sides = tf.shape(picture)[:2]
    sides = [shorter, shorter] if preprocessing.squashed else sides * shorter // tf.reduce_min(sides)
    resized = resize(picture, sides, preprocessing)
    corner = tf.cast(tf.round((tf.cast(tf.shape(resized)[:2], tf.float64) - size) / 2), tf.int32)
    crop = tf.slice(resized, [corner[0], corner[1], 0], [size, size, 3])
    return normalise_pixels(crop, preprocessing)


def normalise_pixels(picture, preprocessing):
    """(pixels * scale - mean) / deviation in the weights' channel order; [..., W, 3] RGB 0..255 to float32."""
    if preprocessing.channels == "BGR":
        picture = tf.reverse(picture, [-1])
    shape = tf.shape(picture)
    # Rows of numbers, not pixels of three: TensorFlow repeats a short axis slowly.
    mean, deviation = (tf.tile(tf.constant(values, tf.float32), shape[-2:-1]) for values in (preprocessing.mean, preprocessing.deviation))
    rows = tf.reshape(tf.cast(picture, tf.float32), tf.concat([shape[:-2], [-1]], 0)) * preprocessing.scale
    return tf.ensure_shape(tf.reshape((rows - mean) / deviation, shape), picture.shape)


def resize(picture, size, preprocessing):
    """A picture of 0..255 at another size (height, width), as `preprocessing` interpolates: within 0..255, as Pillow's."""
    if preprocessing.interpolation == "nearest":
        rows, columns = (_nearest(tf.shape(picture)[axis], size[axis]) for axis in (0, 1))
        return tf.gather(tf.gather(picture, rows), columns, axis=1)
    if not preprocessing.antialias:
        resized = tf.image.resize(picture, size, preprocessing.interpolation)
    else:
        # Of small pictures that have the size already, the rest of their way takes less time than this.
        resized = tf.cond(tf.reduce_all(tf.shape(picture)[:2] == size), lambda: tf.cast(picture, tf.float32),
                          lambda: _resize_both(picture, size, preprocessing.interpolation))
    # At edges, a cubic curve goes beyond the pixels that it joins.
    return tf.clip_by_value(resized, 0, 255) if preprocessing.interpolation == "bicubic" else resized


def _resize_both(picture, size, interpolation):
    """Bit for bit what `tf.image.resize` makes of both axes, in less time: it adds up rows faster than pixels."""
    upright = _resize_rows(picture, size[0], interpolation)
    return tf.transpose(_resize_rows(tf.transpose(upright, [1, 0, 2]), size[1], interpolation), [1, 0, 2])


def _resize_rows(picture, rows, interpolation):
    """[H, W, C] to float32 [rows, W, C]: as a picture of one column whose pixels are the rows."""
    _, width, channels = picture.shape
    shape = tf.shape(picture)
    one_column = tf.reshape(picture, [shape[0], 1, shape[1] * shape[2]])
    resized = tf.image.resize(one_column, [rows, 1], interpolation, antialias=True)
    return tf.ensure_shape(tf.reshape(resized, [rows, shape[1], shape[2]]), [None, width, channels])


def _nearest(old, new):
    """int32 [new]: the old pixel under the middle of each new one, as Pillow finds it.

    It adds the step up in double precision, so where a middle falls between two
    pixels its rounding decides; `tf.image.resize` may take the other one.
    """
    step = tf.cast(old, tf.float64) / tf.cast(new, tf.float64)
    steps = tf.concat([[step / 2], tf.fill([new - 1], step)], 0)
    return tf.cast(tf.cumsum(steps), tf.int32)
