"""What a Keras model in memory expects its pixels to be, as far as its layers and names say it."""

import itertools
import re

import numpy as np

from cam_base import Preprocessing
from weights.keras_config import IDENTITIES, RANDOM
from weights.keras_preparing import RESIZED

# keras.applications' three kinds of preprocessing (keras.applications.imagenet_utils), by the names of its models.
CAFFE = {"channels": "BGR", "scale": 1.0, "mean": (103.939, 116.779, 123.68), "deviation": (1.0, 1.0, 1.0)}
TENSORFLOW = {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0), "deviation": (1.0, 1.0, 1.0)}
TORCH = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
# Each with a layer that it has: a network of one's own may be called resnet50, too. (Keras 2 has a / where Keras 3 has a _.)
KINDS = {name: (values, layer) for values, layer, names in (
    (CAFFE, "conv1_conv", ("resnet50", "resnet101", "resnet152")), (CAFFE, "block1_conv1", ("vgg16", "vgg19")),
    (TENSORFLOW, "conv1_conv", ("resnet50v2", "resnet101v2", "resnet152v2")), (TENSORFLOW, "block1_conv1", ("xception",)),
    (TENSORFLOW, "mixed0", ("inception_v3",)), (TENSORFLOW, "mixed_5b", ("inception_resnet_v2",)),
    (TENSORFLOW, "conv1", ("mobilenet",)), (TENSORFLOW, "Conv1", ("mobilenetv2",)),
    (TENSORFLOW, "stem_conv1", ("nasnet_mobile", "nasnet_large", "NASNet")),
    (TORCH, "conv1[_/]conv", ("densenet121", "densenet169", "densenet201"))) for name in names}
PIXELS = {"scale": 1.0, "mean": (0.0, 0.0, 0.0), "deviation": (1.0, 1.0, 1.0)}
# Layers that leave pixels as they are once a network is trained; others than these are not passed over.
HARMLESS = IDENTITIES | {"InputLayer", "ZeroPadding2D", "Identity"}
ADVICE = ("preprocessing=cam_base.Preprocessing(size={size}, scale=1, mean=(0, 0, 0), deviation=(1, 1, 1), antialias=False) "
          "(after `import cam_base`) for pixels of 0 to 255, scale=1/255 for 0 to 1")


def refuse_cropping(model):
    """ValueError for a model that begins with a part of the picture: its maps would be laid over the whole one."""
    for part, _ in itertools.takewhile(lambda pair: _leaves_pixels(pair[0]) or _computes(pair[0]), _flat(model)):
        kind = type(part).__name__
        if kind in ("CenterCrop", "Cropping2D", "RandomCrop") or kind == "Resizing" and not _leaves_pixels(part):
            raise ValueError(f"the model's layer {part.name} crops or pads its pictures, and its maps are of the part that is left: "
                             "give the model behind it")


def preprocessing_of(model):
    """The Preprocessing that a model's pictures need; ValueError where it cannot be seen."""
    parts = list(_flat(model))
    front = list(itertools.takewhile(lambda pair: _leaves_pixels(pair[0]), parts))
    resized = [part.height for part, _ in front if type(part).__name__ == "Resizing" and part.height == part.width]
    size = model.inputs[0].shape[1] or next(iter(resized), None)
    said = ADVICE.format(size=size or 224)
    if size is None:
        raise ValueError(f"the model takes pictures of any size: say which it is to see by {said}")
    first, models = parts[len(front)]
    computing = [part for part, _ in itertools.takewhile(lambda pair: _computes(pair[0]), parts[len(front):])
                 if not _leaves_pixels(part)]
    # keras.applications appends a width and a size to some names, as in mobilenetv2_1.00_224.
    kinds = [values for one in reversed(models) for name, (values, layer) in KINDS.items()
             if (one == name or re.fullmatch(rf"{name}_[\d.]+_\w+", one))
             and any(one in within and re.fullmatch(layer, part.name) for part, within in parts)]
    if computing and not _takes_bytes(first):
        raise ValueError(f"{model.name!r} computes with its pixels first ({', '.join(map(_called, computing))}): say what it expects "
                         f"by {said}")
    if not computing and not kinds:
        raise ValueError(f"how {model.name!r} wants its pixels cannot be seen (it has no Rescaling or Normalization layer in front, "
                         "and is no model of keras.applications by its name and layers, as base(inputs) leaves it and base.output "
                         f"does not): say it by {said}")
    return Preprocessing(size=int(size), **RESIZED, **PIXELS if computing else kinds[0])


def _flat(model, names=()):
    """(layer or operation, names of the models that it lies in, the outermost first), in order: those of models within it, too."""
    names = (*names, model.name)
    # Keras 3 tells of operations, such as the division in `x / 255`.
    for part in getattr(model, "operations", model.layers):
        if hasattr(part, "layers"):
            yield from _flat(part, names)
        else:
            yield part, names


def _leaves_pixels(layer):
    kind = type(layer).__name__
    if kind == "Resizing":
        return not (getattr(layer, "crop_to_aspect_ratio", False) or getattr(layer, "pad_to_aspect_ratio", False))
    return kind in HARMLESS or bool(RANDOM.match(kind))


def _computes(layer):
    """Whether a layer does the same to any pixels: it has not learned it from what it was trained on."""
    return type(layer).__name__ in ("Rescaling", "Normalization") or not getattr(layer, "weights", None)


def _takes_bytes(layer):
    """Whether a layer makes numbers about 1 of pixels of 0 to 255, and not of others."""
    kind = type(layer).__name__
    if kind == "Rescaling":
        return 0 < np.max(np.abs(layer.scale)) < 0.1
    return kind == "Normalization" and layer.mean is not None and np.max(np.asarray(layer.mean)) > 2


def _called(layer):
    """The operation that tf_keras has made a layer of, tf.math.truediv; else the layer's class."""
    return layer.name if "Lambda" in type(layer).__name__ else type(layer).__name__
