"""Keras' layers that prepare pixels, as numbers: Rescaling, Normalization, Resizing."""

import numpy as np

from cam_base import InputError, Preprocessing

# As image_dataset_from_directory resizes.
RESIZED = {"interpolation": "bilinear", "antialias": False}


def preparation(model, variables, default):
    """Preprocessing of a KerasModel's pictures.

    variables  a function of a Normalization layer's name to its ("mean", "variance"), float arrays
    default    where the model prepares nothing itself: that of keras.applications
    """
    if not model.preparing:
        return default if model.size is None else Preprocessing(**default.to_dict() | {"size": model.size})
    size, scale, offset = model.size, np.ones(3), np.zeros(3)
    resized_alone = all(step.kind == "Resizing" for step in model.preparing)
    for kind, name, config in model.preparing:
        if kind == "Resizing":
            size = _resized(size, config, name)
            continue
        factor, shift = _rescaling(config, name) if kind == "Rescaling" else _normalization(config, variables, name)
        scale, offset = scale * factor, offset * factor + shift
    if resized_alone:  # which says nothing of the pixels' values
        return Preprocessing(**default.to_dict() | RESIZED | {"size": size})
    if (scale <= 0).any() or not np.isfinite([scale, offset]).all():
        raise InputError("its layers multiply pixels by zero, by negative numbers, or by what is none")
    if len(set(scale)) == 1:
        scale, mean, deviation = float(scale[0]), -offset, np.ones(3)
    else:
        mean, deviation, scale = -offset / scale, 1 / scale, 1.0
    return Preprocessing(size or default.size, "RGB", scale, tuple(map(float, mean)), tuple(map(float, deviation)), **RESIZED)


def _resized(size, config, name):
    """The side that pictures have behind a Resizing layer."""
    height, width = config["height"], config["width"]
    plain = height == width and config.get("interpolation", "bilinear") == "bilinear"
    if not plain or config.get("crop_to_aspect_ratio") or config.get("pad_to_aspect_ratio") or config.get("antialias") or size not in (None, height):
        raise InputError(f"its layer {name[:60]} (Resizing) does more than to make pictures of any size square, bilinearly; that is not read")
    return height


def _rescaling(config, name):
    return _three(config["scale"], name), _three(config.get("offset", 0.0), name)


def _normalization(config, variables, name):
    """(factor, shift): (x - mean) / max(sqrt(variance), 1e-7), as keras.layers.Normalization has it."""
    if config.get("invert") or config.get("axis") not in (-1, 3, [-1], [3], None):
        raise InputError(f"its layer {name[:60]} (Normalization) is inverted, or not of channels; that is not read")
    if config.get("mean") is not None:
        mean, variance = _three(config["mean"], name), _three(config["variance"], name)
    else:
        mean, variance = (_three(value, name) for value in variables(name))
    factor = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return factor, -mean * factor


def _three(value, name):
    """float64 [3] of a number, or of one for each channel."""
    array = np.asarray(value, np.float64).ravel()
    if array.size not in (1, 3) or not np.isfinite(array).all():
        raise InputError(f"its layer {name[:60]} has {array.size} numbers; one, or one for each channel, is read")
    return np.broadcast_to(array, 3)
