"""From a map of features to one number per channel."""

from .compiled import compiled
from .quiet_tensorflow import tf
from .tensors import features_tensor


def gap(features):
    """Global average pooling: the mean of each channel over all positions.

    F_k = 1/(h w) * sum over x, y of f_k(x, y): section 2 of the paper, which
    leaves the factor out; with it, the weights do not depend on the map's size.

    Compiled by XLA, once per shape and dtype; differentiable; works inside a
    caller's `tf.function`.

    features  [N, h, w, C], float32, bfloat16 or float16
    returns   [N, C], float32, accumulated in float32
    raises    ValueError when the features are no such, or h or w is 0
    """
    return _compiled_gap(features_tensor(features))


@compiled
def _compiled_gap(features):
    return tf.reduce_mean(tf.cast(features, tf.float32), axis=(1, 2))


def gmp(features):
    """Global max pooling, which the paper compares with GAP (section 2).

    Positions that share the maximum share its gradient evenly.

    features  [N, h, w, C], float32, bfloat16 or float16
    returns   [N, C], float32
    raises    ValueError when the features are no such, or h or w is 0
    """
    return tf.cast(tf.reduce_max(features_tensor(features), axis=(1, 2)), tf.float32)
