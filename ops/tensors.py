"""Tensors that callers give, checked: a ValueError names the argument that cannot be taken."""

from .quiet_tensorflow import refuse_fork, tf


def real_tensor(values, name):
    """The values as a tensor of real numbers."""
    refuse_fork()
    try:
        tensor = tf.convert_to_tensor(values)
    except Exception as error:  # lists of unequal lengths, None, objects: each has an error of its own
        raise ValueError(f"{name} cannot be made a tensor: {error}") from None
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        raise ValueError(f"{name} must be real numbers; they are {tensor.dtype.name}")
    return tensor


def maps_tensor(maps, name):
    """The maps as a tensor [..., h, w] of real numbers, h and w not zero; these may be unknown."""
    maps = real_tensor(maps, name)
    if maps.shape.rank is None or maps.shape.rank < 2 or 0 in maps.shape[-2:]:
        raise ValueError(f"{name} must be [..., h, w], h and w not zero; their shape is {maps.shape}")
    return maps


def features_tensor(features):
    """The features as a tensor [N, h, w, C] of real numbers, h and w not zero; its rank may be unknown."""
    features = real_tensor(features, "features")
    if features.shape.rank is not None and (features.shape.rank != 4 or 0 in features.shape[1:3]):
        raise ValueError(f"features must be [N, h, w, C], h and w not zero; their shape is {features.shape}")
    return features
