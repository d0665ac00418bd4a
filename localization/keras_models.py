"""A Keras model in memory as a network. Keras is the caller's: it is never imported here."""

import itertools
import re

import ops
from cam_base import Preprocessing
from ops.quiet_tensorflow import tf
from weights.ilsvrc import categories
from .localizer import Localizer

# keras.applications' three kinds of preprocessing (keras.applications.imagenet_utils), by the names of its models.
CAFFE = {"channels": "BGR", "scale": 1.0, "mean": (103.939, 116.779, 123.68), "deviation": (1.0, 1.0, 1.0)}
TENSORFLOW = {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0), "deviation": (1.0, 1.0, 1.0)}
TORCH = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
KINDS = {"resnet50": CAFFE, "resnet101": CAFFE, "resnet152": CAFFE, "resnet50v2": TENSORFLOW, "resnet101v2": TENSORFLOW,
         "resnet152v2": TENSORFLOW, "xception": TENSORFLOW, "inception_v3": TENSORFLOW, "inception_resnet_v2": TENSORFLOW,
         "mobilenet": TENSORFLOW, "mobilenetv2": TENSORFLOW, "nasnet_mobile": TENSORFLOW, "nasnet": TENSORFLOW,
         "densenet121": TORCH, "densenet169": TORCH, "densenet201": TORCH}
PIXELS = {"scale": 1.0, "mean": (0.0, 0.0, 0.0), "deviation": (1.0, 1.0, 1.0)}
# Layers of a model that prepares its own pixels.
PREPARING = ("Rescaling", "Normalization")


def from_keras(model, classes=None, preprocessing=None, **options):
    """A Localizer of a Keras model that ends in global average pooling and one Dense layer.

        localizer = localization.from_keras(keras.applications.ResNet50())

    model          in memory, functional or sequential, of one picture; its last layer is a Dense with
                   softmax or without activation, and nothing but Dropout lies between it and the pooling
    classes        names in the order of the Dense's units; None: ILSVRC's for 1000 units, else numbers
    preprocessing  None: that of keras.applications for a model of its names; pixels of 0 to 255 for
                   a model with Rescaling or Normalization layers. Pictures are resized as
                   `image_dataset_from_directory` does
    options        of `Localizer`
    raises         ValueError when the model is another, or its preprocessing cannot be known
    """
    network = KerasNetwork(model)
    units = network.head.kernel.shape[-1]
    return Localizer(network, classes or categories(units), preprocessing or _preprocessing(model), **options)


class KerasNetwork(tf.Module):
    """Answers like the networks in `nets`: logits, and the features that are pooled."""

    def __init__(self, model):
        super().__init__()
        try:
            inputs = model.inputs
        except (AttributeError, ValueError):  # of what was not built, or computes in a `call` of its own
            inputs = None
        if not inputs:
            raise ValueError("the model does not say its inputs: build it from keras.Input, as a Sequential or functional model")
        *front, dense = _parts(model)
        while front and type(front[-1]).__name__ == "Dropout":
            front.pop()
        if type(dense).__name__ != "Dense" or not front or type(front[-1]).__name__ != "GlobalAveragePooling2D":
            raise ValueError(f"the model ends in {', '.join(type(part).__name__ for part in _parts(model)[-3:])}; class "
                             "activation maps need GlobalAveragePooling2D and one Dense layer behind the last map")
        activation = getattr(dense.activation, "__name__", str(dense.activation))
        if activation not in ("linear", "softmax"):
            raise ValueError(f"the last layer's activation is {activation}; softmax, or none, is understood")
        # The class whose constructor makes a model of tensors; model's own may be Sequential.
        functional = next(kind for kind in type(model).__mro__ if kind.__name__ == "Model")
        self.model = functional(model.inputs, front[-1].input)
        self.head = dense

    def __call__(self, pictures):
        features = self.model(pictures, training=False)
        logits = tf.linalg.matmul(ops.gap(features), tf.cast(self.head.kernel, tf.float32))
        if self.head.bias is not None:
            logits += tf.cast(self.head.bias, tf.float32)
        return logits, {"features": features}


def _preprocessing(model):
    sides = model.inputs[0].shape[1:3]
    if sides[0] != sides[1] or sides[0] is None:
        raise ValueError(f"the model's input is {list(model.inputs[0].shape)}: say its square size by preprocessing=")
    layers = _all_layers(model)
    # keras.applications appends a width and a size to some names, as in mobilenetv2_1.00_224.
    kinds = [kind for one in [model, *layers] for name, kind in KINDS.items()
             if one.name == name or re.fullmatch(rf"{name}_[\d.]+_\w+", one.name)]
    prepares_itself = any(type(layer).__name__ in PREPARING for layer in layers)
    first = list(itertools.takewhile(lambda part: not getattr(part, "weights", None) or type(part).__name__ in PREPARING, layers))
    computing = [part for part in first if not hasattr(part, "count_params") or type(part).__name__ == "Lambda"]
    if computing:
        raise ValueError(f"{model.name!r} computes with its pixels first ({', '.join(type(part).__name__ for part in computing)}): say what it "
                         "expects by preprocessing=cam_base.Preprocessing(...), with scale=1, mean=(0, 0, 0) and deviation=(1, 1, 1) for 0 to 255")
    if not kinds and not prepares_itself:
        raise ValueError(f"how {model.name!r} wants its pixels cannot be seen (it has no Rescaling or Normalization layer, "
                         "and no name of keras.applications): say it by preprocessing=cam_base.Preprocessing(...)")
    values = PIXELS if prepares_itself else kinds[0]
    return Preprocessing(size=int(sides[0]), interpolation="bilinear", antialias=False, **values)


def _parts(model):
    """What a model computes, in order: its layers and, where they are told, operations such as the division in `x / 255`."""
    return list(getattr(model, "operations", model.layers))


def _all_layers(model):
    """The parts of a model; in place of a model that it holds, that one and its parts."""
    found = []
    for layer in _parts(model):
        found += [layer, *_all_layers(layer)] if hasattr(layer, "layers") else [layer]
    return found
