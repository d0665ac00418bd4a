"""Class activation maps (Zhou et al., CVPR 2016, section 2), compiled by XLA.

Each function is compiled once for every new combination of shapes, dtypes and
output size. Keep the batch size fixed: fill the last batch up.
"""

from .arguments import height_width
from .compiled import compiled
from .heatmap import (
    extremes,
    interpolation_matrix,
    interval_ends,
    nan_unless_finite,
    rescale,
    upsample,
    within_range,
)
from .quiet_tensorflow import tf
from .tensors import features_tensor, real_tensor


def class_activation_maps(features, kernel, classes=None):
    """Class activation maps, M_c(x, y) = sum over k of w_k^c f_k(x, y): equation 2.

    The mean of a map plus the bias of its class is the logit of that class.
    Differentiable; works inside a caller's `tf.function`.

    features  [N, h, w, C], float32, bfloat16 or float16: what `gap` pools
    kernel    [C, K]: the weights of the linear layer behind it
    classes   integers [N, k], 0 to K - 1: each picture's own; None for all K in
              order. Inside a caller's `tf.function` their range is not checked
    returns   [N, k, h, w], float32, accumulated in float32
    raises    ValueError when shapes do not fit or a class is out of range
    """
    return _compiled_maps(*_checked(features, kernel, classes))


def heat_maps(features, kernel, classes, size):
    """Class activation maps, upsampled and then scaled to [0, 1], in one kernel.

    A heat map is the upsampled class activation map scaled by its own minimum
    and maximum; a constant one is all zeros. The same as
    `normalise(upsample(class_activation_maps(...), size))` but for rounding.

    features, kernel, classes   as in `class_activation_maps`
    size      (H, W), Python ints, or one for both: better the network's input than each
              picture's
    returns   [N, k, H, W], float32 in [0, 1]; all NaN for a map that is not finite
    raises    ValueError when shapes or the size do not fit, or a class is out of range
    """
    return _compiled_heat_maps(*_checked(features, kernel, classes), size=height_width(size))


def _checked(features, kernel, classes):
    features, kernel = features_tensor(features), real_tensor(kernel, "kernel")
    if features.shape.rank != 4 or kernel.shape.rank != 2:
        raise ValueError("features must be [N, h, w, C] and the kernel [C, K]; "
                         f"their shapes are {features.shape} and {kernel.shape}")
    if not features.shape[3:].is_compatible_with(kernel.shape[:1]):
        raise ValueError(f"features of {features.shape[3]} channels do not fit "
                         f"a kernel for {kernel.shape[0]}")
    if classes is None:
        return features, kernel
    classes = real_tensor(classes, "classes")
    if not classes.dtype.is_integer or not classes.shape.is_compatible_with([features.shape[0], None]):
        raise ValueError(f"classes must be integers [{features.shape[0]}, k]; "
                         f"they are {classes.dtype.name} {classes.shape}")
    values = tf.get_static_value(classes)
    if values is not None and kernel.shape[1] is not None and values.size:
        if values.min() < 0 or values.max() >= kernel.shape[1]:
            raise ValueError(f"classes must be 0 to {kernel.shape[1] - 1}; "
                             f"they are {values.min()} to {values.max()}")
    return features, kernel, tf.cast(classes, tf.int32)


def _class_maps(features, kernel, classes=None):
    features, kernel = tf.cast(features, tf.float32), tf.cast(kernel, tf.float32)
    if classes is None:
        return tf.einsum("nyxc,ck->nkyx", features, kernel)
    # Columns are gathered before the product: the maps of all 1000 classes of
    # ILSVRC take ten times as long as those of five.
    return tf.einsum("nyxc,cnk->nkyx", features, tf.gather(kernel, classes, axis=1))


_compiled_maps = compiled(_class_maps)


@compiled
def _compiled_heat_maps(*tensors, size):
    maps = _class_maps(*tensors)
    # Minimum and maximum are found among the few samples where they can lie,
    # and the small map is scaled by them: the large one is written only once.
    rows, columns = (interpolation_matrix(old, new)[interval_ends(old, new)]
                     for old, new in zip(maps.shape[2:], size))
    corners = tf.einsum("Yy,nkyx,Xx->nkYX", rows, maps, columns)
    scaled = upsample(rescale(*within_range(maps, *extremes(corners))), size)
    return nan_unless_finite(maps, tf.clip_by_value(scaled, 0, 1))
