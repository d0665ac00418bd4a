"""How a picture is changed, at random, each time that a network is trained on it."""

from typing import NamedTuple

from ops.quiet_tensorflow import tf
from .preparation import normalise_pixels, resize

# Random resized crops (Szegedy et al., 2015, section 6), but milder: a crop of 8 %
# of a picture, as theirs may be, seldom shows what a small picture is of.
CROP_AREA = (0.35, 1.0)
CROP_PROPORTIONS = (3 / 4, 4 / 3)
PADDING = 8  # of a padded crop: an eighth of a side, 4 pixels of CIFAR-10's 32 (He et al., CVPR 2016, section 4.2)
GREYS = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Augmentation(NamedTuple):
    """What is drawn anew for every picture of every epoch.

    crop    "resized": 35 to 100 % of the picture, 3:4 to 4:3, resized to the input;
            "padded": the whole picture, shifted by up to an eighth of a side, its border reflected; "none"
    jitter  brightness, contrast and saturation are multiplied by 1 - jitter to 1 + jitter, each
    cutout  side of a square that is hidden, as a share of the input's (DeVries and Taylor, 2017); it may lie partly outside
    mirror  half of the pictures are mirrored
    """

    crop: str = "resized"
    jitter: float = 0.0
    cutout: float = 0.0
    mirror: bool = True


def augment(picture, size, seed, preprocessing, augmentation):
    """A picture as a network's input, changed as `seed` (int64 [2]) says: float32 [side, side, 3].

    picture  [h, w, 3], 0..255
    size     of the picture in full, by which a crop is drawn: `picture` itself may have fewer pixels
    """
    side = preprocessing.size
    if augmentation.crop == "resized":
        picture = _resized_crop(picture, size, seed)
    picture = tf.ensure_shape(resize(picture, [side, side], preprocessing), [side, side, 3])
    if augmentation.crop == "padded":
        picture = _padded_crop(picture, seed)
    if augmentation.mirror:
        picture = tf.image.stateless_random_flip_left_right(picture, seed + 1)
    if augmentation.jitter:
        picture = _jittered(picture, augmentation.jitter, seed + 2)
    picture = normalise_pixels(picture, preprocessing)
    return _cut_out(picture, augmentation.cutout, seed + 3) if augmentation.cutout else picture


def _resized_crop(picture, size, seed):
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([size, [3]], 0), tf.zeros([1, 0, 4]), seed, min_object_covered=0.0,
        aspect_ratio_range=CROP_PROPORTIONS, area_range=CROP_AREA, use_image_if_no_bounding_boxes=True)
    return tf.slice(picture, *_rescaled(begin, extent, size, tf.shape(picture)))


def _rescaled(begin, extent, size, shape):
    """Begin and extent of a crop, [y, x, 0] and [h, w, -1], in a picture of `shape` instead of `size`; never empty."""
    def rescale(place):
        return tf.cast(tf.cast(place[:2], tf.int64) * tf.cast(shape[:2], tf.int64) // tf.cast(size, tf.int64), tf.int32)

    first = rescale(begin)
    extent = tf.maximum(rescale(begin + extent) - first, 1)
    return tf.concat([first, [0]], 0), tf.concat([extent, [-1]], 0)


def _padded_crop(picture, seed):
    side = picture.shape[0]
    border = max(1, side // PADDING)
    padded = tf.pad(picture, [[border, border], [border, border], [0, 0]], "REFLECT")
    corner = tf.random.stateless_uniform([2], seed, 0, 2 * border + 1, tf.int32)
    return tf.ensure_shape(tf.slice(padded, tf.concat([corner, [0]], 0), [side, side, 3]), picture.shape)


def _jittered(picture, jitter, seed):
    """Brightness times a factor; then contrast about the mean grey, and saturation about each pixel's grey."""
    brightness, contrast, saturation = tf.unstack(tf.random.stateless_uniform([3], seed, 1 - jitter, 1 + jitter))
    picture = picture * brightness
    grey = tf.reduce_sum(picture * GREYS, -1, keepdims=True)
    middle = tf.reduce_mean(grey)
    picture = grey + saturation * (picture - grey)
    return tf.clip_by_value(middle + contrast * (picture - middle), 0, 255)


def _cut_out(picture, share, seed):
    """A square becomes 0, which is the mean colour. Its middle is any pixel."""
    side = picture.shape[0]
    hidden = round(share * side)
    first = tf.random.stateless_uniform([2, 1], seed, 0, side, tf.int32) - hidden // 2
    place = tf.range(side)[None]
    rows, columns = tf.unstack((place >= first) & (place < first + hidden))
    return tf.where((rows[:, None] & columns[None])[..., None], 0.0, picture)
