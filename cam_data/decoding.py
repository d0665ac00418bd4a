"""From a file's bytes to an upright RGB picture, inside a tf.data pipeline."""

import io
import os

import numpy as np

from cam_base import InputError
from ops.quiet_tensorflow import tf

# A JPEG's APP1 segment and a PNG's eXIf chunk stand near the front; what stands behind this is not seen.
EXIF_SEARCH_BYTES = 1 << 16
LARGEST_PICTURE = 150_000_000  # pixels


def decode(contents):
    """Upright RGB, uint8 [H, W, 3], of a JPEG, PNG, GIF or BMP file's bytes (a scalar string).

    Grey becomes RGB, CMYK is converted, an alpha channel is dropped, and of
    an animation the first frame is taken. The name's ending does not matter.
    EXIF is looked for in the first 64 KiB.
    Raises tf.errors.InvalidArgumentError for anything else.
    """
    # TensorFlow's default for JPEG is faster by a hair, and up to 16 of 255 away from what
    # Pillow and the published networks' origins see.
    picture = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False))
    picture.set_shape([None, None, 3])
    return _turn_upright(picture, _orientation(contents))


def _orientation(contents):
    """The EXIF orientation, 1 to 8. Pillow is asked only where the letters "exif" occur, large or small.

    A JPEG has "Exif", a PNG the chunk "eXIf" or, by ImageMagick, "Raw profile type exif".
    """
    head = tf.io.decode_raw(tf.strings.substr(contents, 0, EXIF_SEARCH_BYTES), tf.uint8)
    small = tf.pad(tf.bitwise.bitwise_or(head, 32), [[0, 3]])
    size = tf.size(head)
    e, x, i, f = (small[place:place + size] == ord(letter) for place, letter in enumerate("exif"))
    marked = tf.reduce_any(e & x & i & f)
    return tf.cond(
        marked,
        lambda: tf.ensure_shape(tf.numpy_function(_ask_pillow, [contents], tf.int32), []),
        lambda: tf.constant(1))


def _ask_pillow(contents):
    from PIL import ExifTags, Image
    # TensorFlow gives bytes in a graph, and an array that holds them outside of one.
    contents = contents if isinstance(contents, bytes) else contents.item()
    try:
        with Image.open(io.BytesIO(contents)) as picture:
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises many kinds for damaged EXIF; TensorFlow has decoded the pixels.
        orientation = 1
    return np.int32(orientation if orientation in range(1, 9) else 1)


def _turn_upright(picture, orientation):
    """Undo EXIF orientation 1-8 (Exif 2.32, 4.6.4 A): 5 to 8 are transposed, then both may be mirrored."""
    picture = tf.cond(orientation >= 5, lambda: tf.transpose(picture, [1, 0, 2]), lambda: picture)
    picture = tf.cond(tf.reduce_any(orientation == [2, 3, 6, 7]),
                      lambda: tf.reverse(picture, [1]), lambda: picture)
    return tf.cond(tf.reduce_any(orientation == [3, 4, 7, 8]),
                   lambda: tf.reverse(picture, [0]), lambda: picture)


def read_picture(path):
    """Upright RGB, uint8 [H, W, 3], of one file. Raises InputError, in one line, if it is none."""
    try:
        return decode(tf.io.read_file(os.fsencode(path))).numpy()
    except tf.errors.NotFoundError:
        raise InputError(f"{path}: no such file") from None
    except tf.errors.OpError as error:
        raise InputError(f"{path}: cannot be read as a picture ({_first_line(error.message)})") from None


def _first_line(message):
    line = message.strip().splitlines()[0] if message.strip() else "unknown error"
    line = line.split("}} ")[-1].split(" [Op:")[0]
    return line if len(line) <= 120 else line[:117] + "..."
