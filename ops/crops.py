"""Several views of a picture, and one map out of theirs: ten crops, flips, scales.

The class scores of a picture are the mean of its views' scores. Maps are merged
before they are scaled to [0, 1]: how high a view's map is tells what it saw.
"""

import numpy as np

from .arguments import finite_maps, height_width, listed, real_array, real_maps, shown, side
from .heatmap import upsample
from .quiet_tensorflow import tf
from .resize import resize_bicubic
from .tensors import maps_tensor, real_tensor

FRAME = 256  # the side to which a picture is resized before it is cropped
ORDERS = "rows", "columns"
BLENDS = "authors", "smooth"


def ten_crops(crop_size, frame=FRAME, order="rows"):
    """Where the ten crops of the paper's evaluation lie in the frame.

    The four corners, the centre, and the same five mirrored.

    order    of the corners: "rows", the upper right one second, or "columns", the lower
             left one second
    returns  (corners int [10, 2]: x, y of each crop's first pixel; mirrored bool [10])
    raises   ValueError when a crop does not fit into the frame, or for another order
    """
    crop_size, frame = side(crop_size, "crop_size"), side(frame, "frame")
    if crop_size > frame:
        raise ValueError(f"a crop of crop_size {crop_size} does not fit into a frame of {frame}")
    if not isinstance(order, str) or order not in ORDERS:
        raise ValueError(f"order must be {' or '.join(ORDERS)}; it is {shown(order)}")
    far = frame - crop_size
    middle = (far + 1) // 2  # of an odd margin the authors leave the larger half above
    second, third = [(far, 0), (0, far)] if order == "rows" else [(0, far), (far, 0)]
    return np.array(2 * [(0, 0), second, third, (far, far), (middle, middle)]), np.arange(10) >= 5


def take_ten_crops(pictures, crop_size):
    """The ten crops of pictures that are resized to the frame, the corners by rows.

    pictures  [N, F, F, C], a tensor or a NumPy array
    returns   [N, 10, crop_size, crop_size, C], of the same kind and dtype
    raises    ValueError when the pictures are not square or smaller than a crop
    """
    pictures = real_tensor(pictures, "pictures") if tf.is_tensor(pictures) else real_array(pictures, "pictures")
    if len(pictures.shape) != 4 or pictures.shape[1] is None or pictures.shape[1] != pictures.shape[2]:
        raise ValueError(f"pictures must be [N, F, F, C]; their shape is {pictures.shape}")
    crops = []
    for (x, y), mirrored in zip(*ten_crops(crop_size, pictures.shape[1])):
        crop = pictures[:, y:y + crop_size, x:x + crop_size]
        crops.append(crop[:, :, ::-1] if mirrored else crop)
    return (tf if tf.is_tensor(pictures) else np).stack(crops, axis=1)


def merge_ten_crops(maps, crop_size, frame=FRAME, grid=None, order="rows", blend="authors"):
    """One map of the frame from the class activation maps of its ten crops.

    Each is upsampled to the crop's size (bicubic), mirrored back where the crop
    was mirrored, and laid at the crop's place.

    maps     [..., 10, h, w], finite: four corners, the centre, and the same mirrored
    grid     where a map's cells lie in its crop, as for `upsample`, which is then used
             in place of the bicubic one; None: spread evenly
    order    of the corners. "rows", upper right before lower left: `take_ten_crops`, and
             the features that the authors computed beforehand (data_img1.mat).
             "columns", lower left before upper right: the programs that they
             published, which cut (prepare_image.m) and merge (mergeTenCrop.m) so
    blend    "authors": the sum of absolute values, which jumps where a crop ends;
             "smooth": the mean of the values as they are, in which a crop counts the less
             the nearer its own end is, but for ends that are the frame's
    returns  float32 [..., frame, frame]; of "authors" not negative
    raises   ValueError when there are not ten maps, when they or their sum are not
             finite, when a crop does not fit, or for another order or blend
    """
    if not isinstance(blend, str) or blend not in BLENDS:
        raise ValueError(f"blend must be {' or '.join(BLENDS)}; it is {shown(blend)}")
    maps = real_maps(maps, "maps")
    if maps.ndim < 3 or maps.shape[-3] != 10:
        raise ValueError(f"maps of ten crops must be [..., 10, h, w]; their shape is {maps.shape}")
    places = ten_crops(crop_size, frame, order)
    merged = np.zeros((*maps.shape[:-3], frame, frame), np.float32)
    weights = np.zeros((frame, frame), np.float32)
    with np.errstate(over="ignore"):
        for number, ((x, y), mirrored) in enumerate(zip(*places)):
            # One by one: ten large maps of each class and picture would be gigabytes.
            crop = maps[..., number, :, :]
            crop = resize_bicubic(crop, crop_size, a=-0.5) if grid is None else upsample(crop, crop_size, grid)
            crop = crop[..., ::-1] if mirrored else crop
            inside = slice(y, y + crop_size), slice(x, x + crop_size)
            if blend == "authors":
                merged[..., *inside] += np.abs(crop)
            else:
                weight = np.outer(_fading(y, crop_size, frame), _fading(x, crop_size, frame))
                merged[..., *inside] += weight * crop
                weights[inside] += weight
    return _finite(merged if blend == "authors" else merged / weights)


def _fading(start, length, frame):
    """How much each pixel of a crop's row or column counts: float32 [length], falling towards its ends inside the frame."""
    angle = np.pi / 2 * (np.arange(length) + 0.5) / length
    rise = np.sin(angle) ** 2 if start > 0 else 1
    fall = np.cos(angle) ** 2 if start + length < frame else 1
    return (np.ones(length) * rise * fall).astype(np.float32)


def merge_flips(maps, mirrored_maps):
    """The mean of the maps of pictures and, mirrored back, of their mirror images.

    maps, mirrored_maps  [..., h, w], any real dtype, both of one shape; tensors or NumPy arrays
    returns              float32 [..., h, w]; a tensor when one of them is
    raises               ValueError when the shapes differ, or a NumPy array is not finite
    """
    maps, mirrored_maps = _float32(maps, "maps"), _float32(mirrored_maps, "mirrored_maps")
    _check_equal(maps.shape, mirrored_maps.shape, "maps", "mirrored_maps")
    return maps / 2 + mirrored_maps[..., ::-1] / 2


def merge_scales(maps, size):
    """The mean of the maps that a picture has at several scales of the input.

    maps     a list of [..., h, w], each of its own h and w, tensors or NumPy arrays
    size     (H, W), Python ints, or one for both, to which all are upsampled (bilinear)
    returns  float32 [..., H, W]
    raises   ValueError when there are no maps, when what is before h and w differs, or
             as `upsample` does
    """
    size, maps = height_width(size), listed(maps, "maps")
    if not maps:
        raise ValueError("there are no maps to merge")
    large = [upsample(scale, size) for scale in maps]
    for other in large[1:]:
        _check_equal(large[0].shape, other.shape, "the first of maps", "another")
    with np.errstate(over="ignore"):
        merged = sum(large) / len(large)
    return merged if tf.is_tensor(merged) else _finite(merged)


def _float32(maps, name):
    if tf.is_tensor(maps):
        return tf.cast(maps_tensor(maps, name), tf.float32)
    return finite_maps(maps, name)


def _check_equal(shape, other, name, other_name):
    """ValueError where two shapes cannot be equal: NumPy would repeat the smaller."""
    if not tf.TensorShape(shape).is_compatible_with(other):
        raise ValueError(f"{name} and {other_name} must be of one shape; they are {tuple(shape)} and {tuple(other)}")


def _finite(merged):
    if not np.isfinite(merged).all():
        raise ValueError("maps have values that are too large for float32 when they are added up")
    return merged
