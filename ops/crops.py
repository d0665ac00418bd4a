"""Several views of a picture, and one map out of theirs: ten crops, flips, scales.

The class scores of a picture are the mean of its views' scores. Maps are merged
before they are scaled to [0, 1]: how high a view's map is tells what it saw.
"""

import numpy as np

from ops.heatmap import upsample
from ops.quiet_tensorflow import tf
from ops.resize import resize_bicubic

FRAME = 256  # the side to which a picture is resized before it is cropped


def ten_crops(crop_size, frame=FRAME):
    """Where the ten crops of the paper's evaluation lie in the frame.

    The four corners by rows, the centre, and the same five mirrored.

    returns  (corners int [10, 2]: x, y of each crop's first pixel; mirrored bool [10])
    raises   ValueError when a crop does not fit into the frame
    """
    if not 0 < crop_size <= frame:
        raise ValueError(f"a crop of {crop_size} pixels does not fit into {frame}")
    far = frame - crop_size
    middle = (far + 1) // 2  # of an odd margin the authors leave the larger half above
    corners = [(0, 0), (far, 0), (0, far), (far, far), (middle, middle)]
    return np.array(2 * corners), np.arange(10) >= 5


def take_ten_crops(pictures, crop_size):
    """The ten crops of pictures that are resized to the frame.

    pictures  [N, F, F, C], a tensor or a NumPy array
    returns   [N, 10, crop_size, crop_size, C], of the same kind and dtype
    raises    ValueError when the pictures are not square or smaller than a crop
    """
    if len(pictures.shape) != 4 or pictures.shape[1] != pictures.shape[2]:
        raise ValueError(f"pictures must be [N, F, F, C]; their shape is {pictures.shape}")
    crops = []
    for (x, y), mirrored in zip(*ten_crops(crop_size, pictures.shape[1])):
        crop = pictures[:, y:y + crop_size, x:x + crop_size]
        crops.append(crop[:, :, ::-1] if mirrored else crop)
    return (tf if tf.is_tensor(pictures) else np).stack(crops, axis=1)


def merge_ten_crops(maps, crop_size, frame=FRAME, grid=None):
    """One map of the frame from the class activation maps of its ten crops.

    Each is upsampled to the crop's size (bicubic), mirrored back where the crop
    was mirrored, and its absolute value is added at the crop's place. (The
    authors' program lays the second and the third crop, two of the corners, and
    their mirror images at each other's place; we lay them at their own.)

    maps     [..., 10, h, w], in the order of `ten_crops`, finite
    grid     where a map's cells lie in its crop, as for `upsample`, which is then used
             in place of the bicubic one; None: spread evenly
    returns  float32 [..., frame, frame], not negative
    raises   ValueError when there are not ten maps or a crop does not fit
    """
    maps = np.asarray(maps)
    if maps.ndim < 3 or maps.shape[-3] != 10:
        raise ValueError(f"maps of ten crops must be [..., 10, h, w]; their shape is {maps.shape}")
    merged = np.zeros((*maps.shape[:-3], frame, frame), np.float32)
    for number, ((x, y), mirrored) in enumerate(zip(*ten_crops(crop_size, frame))):
        # One by one: ten large maps of each class and picture would be gigabytes.
        crop = maps[..., number, :, :]
        crop = np.abs(resize_bicubic(crop, (crop_size, crop_size), a=-0.5) if grid is None
                      else upsample(crop, (crop_size, crop_size), grid))
        merged[..., y:y + crop_size, x:x + crop_size] += crop[..., ::-1] if mirrored else crop
    return merged


def merge_flips(maps, mirrored_maps):
    """The mean of the maps of pictures and, mirrored back, of their mirror images.

    maps, mirrored_maps  [..., h, w], tensors or NumPy arrays
    returns              [..., h, w]
    """
    return (maps + mirrored_maps[..., ::-1]) / 2


def merge_scales(maps, size):
    """The mean of the maps that a picture has at several scales of the input.

    maps     a list of [..., h, w], each of its own h and w, tensors or NumPy arrays
    size     (H, W), Python ints, to which all are upsampled (bilinear)
    returns  float32 [..., H, W]
    raises   ValueError when there are no maps
    """
    if not len(maps):
        raise ValueError("there are no maps to merge")
    return sum(upsample(scale, size) for scale in maps) / len(maps)
