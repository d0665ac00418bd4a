"""What a Keras file says of its model (`model_config`): which layers there are, in which order, and what they do.

Nothing is built of it. A class activation map needs a model that is one line: layers that
prepare pixels, a ResNet of keras.applications, global average pooling, one Dense. What is
not understood is refused, never passed over.
"""

import json
import re
from typing import NamedTuple

from cam_base import InputError

DEEPEST = 6  # models within models
MODELS = ("Functional", "Sequential", "Model")
# Of a ResNet of keras.applications, from its padding to its last ReLU.
CORE = re.compile(r"(conv1_(pad|conv|bn|relu)|pool1_(pad|pool)|conv[2-5]_block\d{1,3}_([0-3]_(conv|bn|relu)|add|out))")
FIRST, LAST = "conv1_pad", re.compile(r"conv5_block\d{1,3}_out")
# What changes nothing once a network is trained. RandomCrop is none: it crops there, too.
IDENTITIES = {"Dropout", "SpatialDropout2D", "GaussianDropout", "AlphaDropout", "GaussianNoise", "ActivityRegularization"}
RANDOM = re.compile(r"(Random(?!Crop)|AutoContrast$|AugMix$|CutMix$|MixUp$)")
# Networks of keras.applications that are not read.
OTHERS = re.compile(r"(mobilenet|efficientnet|convnext|densenet|inception|xception|nasnet|vgg|regnet)", re.IGNORECASE)
PROBABILITIES = ("softmax", "sigmoid", "linear")


class Step(NamedTuple):
    kind: str
    name: str
    config: dict


class KerasModel(NamedTuple):
    """What a model_config says.

    size           side of the input in pixels; None where any is taken
    preparing      the Steps that change pixels: Rescaling, Normalization, Resizing
    epsilon        of the batch norms
    head           name of the Dense layer; None where there is none
    activation     of its outputs: softmax, sigmoid, or linear
    groups         {path of a layer's group in a .weights.h5: (its name, its kind)}
    """

    size: int | None
    preparing: list
    epsilon: float
    head: str | None
    activation: str | None
    groups: dict


def read(text):
    """The KerasModel of a model_config, JSON as bytes or str. InputError for a model that is not read here."""
    model = json.loads(text)
    layers = list(_every_layer(model))
    _refuse_others(layers, model["config"].get("name", ""))
    steps = _line(model)
    core = [layer for layer in layers if CORE.fullmatch(_name(layer))]
    head, activation, preparing, size = _understood(steps)
    return KerasModel(size, preparing, _checked_core(core), head, activation, dict(_groups(model)))


def _every_layer(model, depth=0):
    """Every layer's dictionary, those within models too."""
    if depth > DEEPEST:
        raise InputError(f"its models lie more than {DEEPEST} deep in one another")
    if not isinstance(model["config"].get("layers"), list):
        raise InputError(f"its model {_name(model)[:60]} is a class of its own, whose code would have to be run: refused")
    for layer in model["config"]["layers"]:
        yield layer
        if layer["class_name"] in MODELS:
            yield from _every_layer(layer, depth + 1)


def _name(layer):
    return layer["config"].get("name") or layer.get("name") or layer["class_name"]


def refuse_v2(names):
    """InputError for a ResNetV2, by the names of its layers."""
    if any("_preact_" in name for name in names):
        raise InputError("it is a Keras ResNetV2 (batch norm in front of the convolutions), which is not read here; "
                         "localization.from_keras(model) takes it in memory")


def _refuse_others(layers, title):
    kinds, names = {layer["class_name"] for layer in layers}, [title, *map(_name, layers)]
    refuse_v2(names)
    if not any(name == "conv2_block1_3_conv" for name in names):
        known = next((name for name in names if OTHERS.match(name)), None) or ("one with depthwise convolutions, a MobileNet or the like" if "DepthwiseConv2D" in kinds else "no ResNet of keras.applications")
        raise InputError(f"its network is {known}; of Keras' files ResNet-50, -101 and -152 are read, and localization.from_keras(model) "
                         "takes any that ends in global average pooling and one Dense, in memory")


# ---------------------------------------------------------------- the line of layers

def _line(model, depth=0):
    """The Steps from the input to the output; those of the ResNet are one, of the kind "ResNet"."""
    if model["class_name"] not in MODELS:
        raise InputError(f"its model is {str(model['class_name'])[:40]}, a class of its own, whose code would have to be run: refused")
    layers = model["config"]["layers"]
    order = list(layers) if model["class_name"] == "Sequential" else _walked_back(model["config"])
    steps = []
    for layer in order:
        if layer["class_name"] in MODELS:
            steps += _line(layer, depth + 1)
        elif CORE.fullmatch(_name(layer)):
            steps += [] if steps and steps[-1].kind == "ResNet" else [Step("ResNet", _name(layer), {})]
        else:
            steps.append(Step(layer["class_name"], _name(layer), layer["config"]))
    return steps


def _walked_back(config):
    """The layers of a functional model in order, found from its output; InputError where they are no line."""
    layers = {_key(layer): layer for layer in config["layers"]}
    ends = config["output_layers"]
    name = ends[0] if isinstance(ends[0], str) else ends[0][0] if len(ends) == 1 else None
    if name is None:
        raise InputError(f"it has {len(ends)} outputs; one is needed")
    order = []
    while True:
        if LAST.fullmatch(name) and FIRST in layers:
            order += [layer for key, layer in reversed(layers.items()) if CORE.fullmatch(key) and key != FIRST]
            name = FIRST
        layer = layers.pop(name, None)
        if layer is None:
            raise InputError(f"its layers are no line: {name[:60]} is met twice, or missing")
        order.append(layer)
        if layer["class_name"] == "InputLayer":
            break
        found = _inputs(layer)
        if len(found) != 1:
            raise InputError(f"its layer {name[:60]} has {len(found)} inputs: class activation maps need layers in one line")
        (name,) = found
    apart = [name for name in layers if not CORE.fullmatch(name)]
    if apart:
        raise InputError(f"its layer {apart[0][:60]} lies beside the line from the input to the output")
    return order[::-1]


def _key(layer):
    return layer.get("name") or _name(layer)


def _inputs(layer):
    """Names of the layers whose outputs a layer takes, as Keras 3 and 2 write them."""
    nodes = layer["inbound_nodes"]
    if len(nodes) != 1:
        raise InputError(f"its layer {_name(layer)[:60]} is used {len(nodes)} times")
    if isinstance(nodes[0], dict):
        found = []

        def collect(value):
            if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
                found.append(value["config"]["keras_history"][0])
            elif isinstance(value, (list, dict)):
                for one in value.values() if isinstance(value, dict) else value:
                    collect(one)

        collect([nodes[0]["args"], nodes[0].get("kwargs", {})])
        return found
    first = nodes[0]
    return [first[0]] if isinstance(first[0], str) else [tensor[0] for tensor in first]


def _understood(steps):
    """(name of the Dense, activation, steps that prepare, size) of a line."""
    size, preparing, seen, head, activation = None, [], [], None, None
    for step in steps:
        kind, name, config = step
        if kind == "InputLayer":
            size = size or _input_size(config)
        elif kind in IDENTITIES or RANDOM.match(kind):
            continue
        elif kind in ("Rescaling", "Normalization", "Resizing") and not seen:
            preparing.append(step)
        elif kind == "ResNet" and not seen:
            seen.append(kind)
        elif kind == "GlobalAveragePooling2D" and seen == ["ResNet"] and not config.get("keepdims"):
            seen.append(kind)
        elif kind == "Dense" and "Dense" in seen:
            raise InputError(f"it has two Dense layers ({head}, {name}): CAM is not defined behind two layers, only behind one that "
                             "follows the pooling")
        elif kind == "Dense" and seen == ["ResNet", "GlobalAveragePooling2D"]:
            seen.append(kind)
            head, activation = name, _activation(config.get("activation"), name)
        elif kind in ("Activation", "Softmax") and seen[-1:] == ["Dense"] and activation == "linear":
            activation = "softmax" if kind == "Softmax" else _activation(config.get("activation"), name)
        else:
            raise InputError(f"its layer {name[:60]} ({kind[:40]}) is not understood at its place: a line of Rescaling, Normalization or Resizing, "
                             "a ResNet, GlobalAveragePooling2D and one Dense is")
    return head, activation, preparing, size


def _activation(value, name):
    if isinstance(value, dict):  # an object of Keras 3, by its own name
        value = value.get("config") if isinstance(value.get("config"), str) else value.get("class_name")
    if value not in PROBABILITIES:
        raise InputError(f"the activation of its layer {name[:60]} is {str(value)[:40]}; softmax, sigmoid, or none, is understood")
    return value


def _input_size(config):
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if len(shape) != 4 or shape[3] != 3:
        raise InputError(f"its input is {shape}; pictures of three channels, last, are read")
    if shape[1] != shape[2]:
        raise InputError(f"its input is {shape[1]} x {shape[2]}; a square one is read")
    return shape[1]


# ---------------------------------------------------------------- the ResNet

def _checked_core(core):
    """The epsilon of all batch norms. InputError where a layer is not what keras.applications builds."""
    epsilons = set()
    for layer in core:
        kind, config, name = layer["class_name"], layer["config"], _name(layer)
        if kind == "Conv2D":
            halved = name == "conv1_conv" or re.fullmatch(r"conv[3-5]_block1_[01]_conv", name)
            wrong = (tuple(config["strides"]) != ((2, 2) if halved else (1, 1)) or tuple(config["dilation_rate"]) != (1, 1)
                     or config.get("groups", 1) != 1 or config["padding"] not in (("valid",) if name == "conv1_conv" else ("valid", "same"))
                     or tuple(config["kernel_size"]) == (3, 3) and config["padding"] != "same" or _activation(config["activation"], name) != "linear")
        elif kind == "BatchNormalization":
            epsilons.add(float(config["epsilon"]))
            wrong = config["axis"] not in (3, -1, [3], [-1]) or not config["center"] or not config["scale"]
        elif kind == "Activation":
            wrong = config["activation"] != "relu"
        elif kind == "ZeroPadding2D":
            wrong = config["padding"] != [[3, 3], [3, 3]] if name == FIRST else config["padding"] != [[1, 1], [1, 1]]
        elif kind == "MaxPooling2D":
            wrong = tuple(config["pool_size"]) != (3, 3) or tuple(config["strides"]) != (2, 2) or config["padding"] != "valid"
        elif kind == "ReLU":
            wrong = any(config.get(name) for name in ("max_value", "negative_slope", "threshold"))
        else:
            wrong = kind != "Add"
        if wrong:
            raise InputError(f"its layer {name} is not as keras.applications builds it")
    if len(epsilons) != 1:
        raise InputError("its batch norms have several epsilons")
    return epsilons.pop()


# ---------------------------------------------------------------- names in a .weights.h5

def _groups(model, prefix="layers/"):
    """(path, (layer's name, its kind)): Keras 3 numbers the layers of each model by their classes, in order."""
    counts = {}
    for layer in model["config"]["layers"]:
        own = snake_case(layer["class_name"])
        number = counts[own] = counts.get(own, -1) + 1
        path = f"{prefix}{own}{f'_{number}' if number else ''}"
        if layer["class_name"] in MODELS:
            yield from _groups(layer, f"{path}/layers/")
        else:
            yield path, (_name(layer), layer["class_name"])


def snake_case(name):
    """"Conv2D" to "conv2d", "GlobalAveragePooling2D" to "global_average_pooling2d", as Keras 3 writes them."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
