"""A Keras model in memory as a network. Keras is the caller's: it is never imported here."""

import itertools
from typing import NamedTuple

import numpy as np

import ops
from ops.quiet_tensorflow import tf
from weights.ilsvrc import categories
from weights.keras_config import IDENTITIES
from .keras_pixels import preprocessing_of, refuse_cropping
from .localizer import Localizer, refuse_other_modes

# Layers and operations that make probabilities of what a Dense gives: the name of what they do, None where they say it themselves.
ACTIVATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Activation": None}
UNDERSTOOD = ("linear", "softmax", "sigmoid")


def from_keras(model, classes=None, preprocessing=None, **options):
    """A Localizer of a Keras model that ends in global average pooling and one Dense layer.

        localizer = localization.from_keras(keras.applications.ResNet50())

    model          in memory, functional or sequential, of one picture of three channels, as high as wide. A Dense ends it, with
                   softmax, sigmoid or no activation, or such a layer behind it; nothing but Dropout or
                   Flatten lies between it and the pooling. Both may lie in models within it, and of several outputs
                   one must end so
    classes        names in the order of the Dense's units; None: ILSVRC's for 1000 units, else numbers.
                   Of one unit, whose sigmoid is taken, one name, or two: first the class that it speaks against.
                   Several units with a sigmoid are several labels (`multi_label` of `Localizer`)
    preprocessing  None: that of keras.applications for a model of its names and layers; pixels of 0 to 255 for
                   a model that begins with Rescaling or Normalization layers. Pictures are resized as
                   `image_dataset_from_directory` does
    options        of `Localizer`
    raises         ValueError when the model is another, or its preprocessing cannot be known
    """
    refuse_other_modes()
    network = KerasNetwork(model)
    units = network.head.kernel.shape[-1]
    if units == 1 and network.activation == "softmax":
        raise ValueError("the model has one unit and a softmax, which is 1 whatever the picture shows")
    localizer = Localizer(network, categories(max(units, 2)) if classes is None else classes, preprocessing or preprocessing_of(model),
                          **{"multi_label": network.activation == "sigmoid" and units > 1} | options)
    side = model.inputs[0].shape[1]
    others = [view for view in localizer.views.scales or (localizer.views.size,) if side not in (None, view)]
    if others:
        raise ValueError(f"the model's input is {side} pixels a side, and it would be shown pictures of {others[0]}")
    return localizer


class KerasNetwork(tf.Module):
    """Answers like the networks in `nets`: logits, and the features that are pooled.

    activation  what the model makes of its logits: "linear", "softmax" or "sigmoid"
    """

    def __init__(self, model):
        super().__init__()
        if not _tensors(model, "inputs"):
            raise ValueError("the model does not say its inputs: build it from keras.Input, as a Sequential or functional model")
        _check_inputs(model.inputs)
        refuse_cropping(model)
        found, refusals = {}, []
        for output in model.outputs:
            try:
                end = _end(output)
                found[id(end.dense), end.activation] = end
            except ValueError as error:
                refusals.append(error)
        if not found:
            raise refusals[0]
        if len(found) > 1:
            raise ValueError(f"{len(found)} of the model's outputs end in a Dense behind a pooling; take one: "
                             "keras.Model(model.inputs, model.outputs[0])")
        (end,) = found.values()
        self.activation, self.head = end.activation, _Head(end.dense)
        self.model = _up_to(model, end.features)

    def __call__(self, pictures):
        features = self.model(pictures, training=False)
        return tf.linalg.matmul(ops.gap(features), self.head.kernel) + self.head.bias, {"features": features}


class _Head:
    """A Dense layer's kernel [C, K] and bias [K], float32, as they are when they are asked for."""

    def __init__(self, dense):
        self.dense = dense
        as_it_is = getattr(dense, "quantization_mode", None) in (None, "float8")  # the latter rounds while it multiplies
        self.dequantized = None if as_it_is else _dequantized(dense)

    @property
    def kernel(self):
        return tf.cast(self.dense.kernel if self.dequantized is None else self.dequantized, tf.float32)

    @property
    def bias(self):
        return tf.cast(self.dense.bias, tf.float32) if self.dense.use_bias else tf.zeros(self.dense.units)


def _dequantized(dense):
    """float32 [C, K]: what a quantized Dense multiplies its inputs by; ValueError where it cannot be found.

    It is asked for what it makes of each input alone: Keras keeps the kernel as whole numbers, in several ways, and
    which scales, groups and zeros go with it differs from version to version.
    """
    width = dense.input_spec.axes[-1]
    plain = type(dense).from_config(dense.get_config() | {"activation": "linear"})
    inputs = np.random.default_rng(0).integers(0, 2, (4, width)).astype(np.float32)  # which are not rounded on their way
    try:
        plain.build((None, width))
        plain.set_weights(dense.get_weights())
        bias = tf.cast(plain.bias, tf.float32) if plain.use_bias else 0.0
        kernel = tf.cast(plain(np.eye(width, dtype=np.float32)), tf.float32) - bias
        found, wanted = (tf.cast(one, tf.float32) for one in (dense.activation(tf.linalg.matmul(inputs, kernel) + bias), dense(inputs)))
        alike = np.allclose(found, wanted, atol=0.02)
    except ValueError:  # of a way whose variables cannot be set
        alike = False
    if not alike:
        raise ValueError(f"the last layer, {dense.name}, is quantized ({dense.quantization_mode}) in a way that is not understood: "
                         "give the model as it was before")
    return kernel


# ---------------------------------------------------------------- a model's tensors, from its output to its input

class _Place(NamedTuple):
    """A tensor of a model's graph.

    within  ((model, tensors that it was called on), ...): the models that the tensor lies within, the outermost first
    """

    tensor: object
    within: tuple = ()


class _End(NamedTuple):
    """What a model's output is made by: the place of the features that are pooled, the Dense, and the activation's name."""

    features: _Place
    dense: object
    activation: str


def _end(output):
    """The _End of an output; ValueError where it is made by something else."""
    line = list(itertools.islice(_line(_Place(output)), 16))
    rest = [(_kind(layer), layer, place) for layer, place in line if _kind(layer) not in IDENTITIES | {"Flatten"}]
    activations = list(itertools.takewhile(lambda step: step[0] in ACTIVATIONS, rest))
    head = rest[len(activations):][:2]
    if [kind for kind, *_ in head] != ["Dense", "GlobalAveragePooling2D"] or head[1][1].data_format != "channels_last":
        raise ValueError(f"the model ends in {', '.join(_kind(layer) for layer, _ in line[2::-1])}; class "
                         "activation maps need GlobalAveragePooling2D and one Dense layer behind the last map, its channels last")
    (_, dense, _), (_, _, features) = head
    names = [ACTIVATIONS[kind] or _name_of(layer.activation) for kind, layer, _ in activations] + [_name_of(dense.activation)]
    names = [name for name in names if name != "linear"] or ["linear"]
    if len(names) > 1 or names[0] not in UNDERSTOOD:
        raise ValueError(f"the last layer's activation is {' of '.join(names)}; softmax, sigmoid, or none, is understood")
    return _End(features, dense, names[0])


def _line(place):
    """(layer or operation, place of its input), from a tensor back to where there is more than one input, or none."""
    while True:
        layer, inputs = _made_by(place)
        if len(inputs) != 1:
            yield layer, None
            return
        (place,) = inputs
        yield layer, place


def _made_by(place):
    """(the layer or operation that makes a tensor, places of its inputs), into the models that are layers, and out of them."""
    tensor, within = place
    layer, number, output = tensor._keras_history
    if _kind(layer) == "InputLayer":
        if not within:
            return layer, []
        *outer, (model, called_on) = within
        (number,) = [number for number, one in enumerate(model.inputs) if one._keras_history[0] is layer]
        return _made_by(_Place(called_on[number], tuple(outer)))
    inputs = tf.nest.flatten(layer._inbound_nodes[number].input_tensors)
    if _tensors(layer, "outputs"):
        return _made_by(_Place(layer.outputs[output], (*within, (layer, inputs))))
    return layer, [_Place(one, within) for one in inputs]


def _up_to(model, place):
    """A functional model from the model's inputs to a tensor within it."""
    # The class whose constructor makes a model of tensors; model's own may be Sequential.
    functional = next(kind for kind in type(model).__mro__ if kind.__name__ == "Model")
    tensor = place.tensor
    for inner, called_on in reversed(place.within):
        tensor = functional(inner.inputs, tensor)(called_on if len(called_on) > 1 else called_on[0])
    return functional(model.inputs, tensor)


def _tensors(model, which):
    """The inputs or outputs of a functional or sequential model; None for what was not built, has a `call` of its own, or is no model."""
    try:
        return getattr(model, which) if hasattr(model, "layers") else None
    except (AttributeError, ValueError):
        return None


def _check_inputs(inputs):
    shape = list(inputs[0].shape)
    if len(inputs) > 1 or len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"the model's input is {', '.join(str(list(one.shape)) for one in inputs)}; one picture of three channels, "
                         "last, is understood")
    if shape[1] != shape[2]:
        side = max(filter(None, shape[1:3]))
        raise ValueError(f"the model's input is {shape[1]} x {shape[2]} pixels; one as high as wide is understood, such as that of "
                         f"keras.Sequential([keras.Input(({side}, {side}, 3)), keras.layers.Resizing({shape[1]}, {shape[2]}), model])")


def _kind(layer):
    return type(layer).__name__


def _name_of(activation):
    """"softmax" of keras.activations.softmax, tf.nn.softmax, a Softmax layer."""
    return getattr(activation, "__name__", _kind(activation).lower()).removesuffix("_v2")
