"""Keras 3 calls the layers of a .weights.h5 by their classes, conv2d, conv2d_1, ...: which of the model's these are."""

import re

import h5py

from cam_base import InputError
from . import keras_config
from .hdf5 import MAX_VISITS, datasets, keep
from .layout import RESNET_BLOCKS, resnet_units

PART = {"stem": "1", "conv1": "1", "conv2": "2", "conv3": "3", "project": "0"}
# Of a layer of each kind, in the order of its group.
VARIABLES = {"Conv2D": ("kernel", "bias"), "Dense": ("kernel", "bias"), "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
             "Normalization": ("mean", "variance", "count")}
# Layers of a .weights.h5 that do nothing to a trained network, or what every ResNet's do; and models within it.
SILENT = {"conv2d", "batch_normalization", "dense", "input_layer", "zero_padding2d", "max_pooling2d", "add", "global_average_pooling2d", "re_lu",
          "dropout", "spatial_dropout2d", "gaussian_dropout", "alpha_dropout", "gaussian_noise", "activity_regularization"}
PREPARING = {"rescaling", "normalization", "resizing"}
MODEL_GROUPS = {"functional", "sequential", "model"}
# Groups of a ResNet's layers: how its layers' names end, and their variables.
KERAS3 = {"conv2d": ("conv", VARIABLES["Conv2D"]), "dense": ("dense", VARIABLES["Dense"]), "batch_normalization": ("bn", VARIABLES["BatchNormalization"])}


def layer_name(path, part):
    """Keras' name of the unit of a ResNet, "conv2_block1_1"; path and part as of `resnet_units`."""
    return "conv1" if path is None else f"conv{path[0] + 2}_block{path[1] + 1}_{PART[part]}"


def named_by(groups, file):
    """{"conv1_conv/kernel": data set} of a Keras 3 file whose groups the model's configuration names."""
    arrays = {}
    for path, dataset in datasets(file):
        group, found, variable = path.rpartition("/vars/")
        layer, kind = groups.get(group, ("", ""))
        variables = VARIABLES.get(kind, ())
        if path.startswith("optimizer/") or "seed_generator" in path or found and kind not in VARIABLES and keras_config.RANDOM.match(kind):
            continue
        if not found or not variable.isdecimal() or int(variable) >= len(variables):
            raise InputError(f"it has a variable {path[:60]} that its configuration does not tell of")
        keep(arrays, f"{layer}/{variables[int(variable)]}", dataset)
    return arrays


def nameless(file, given):
    """({"conv1_conv/kernel": data set} of a .weights.h5, whether it has layers that prepare pixels).

    Its layers are numbered in the order of each model, the ResNet's as keras.applications has it. Later versions add each layer's own name as an attribute. It is not read: in
    a damaged file, a text of variable length makes the HDF5 library crash. An
    order that were not Keras' would show in the kernels' shapes.
    """
    bodies = _bodies(file["layers"])
    body = [path for path, layers in bodies.items() if any(name.partition("_")[0] == "conv2d" for name in layers)]
    kinds = {path: [re.sub(r"_\d{1,4}$", "", name) for name in layers] for path, layers in bodies.items()}
    if any("depthwise_conv2d" in names for names in kinds.values()):
        raise InputError("it has depthwise convolutions, as a MobileNet or the like: of Keras' files ResNet-50, -101 and -152 are read")
    if len(body) != 1:
        raise InputError(f"{len(body)} of its models have convolutions; one ResNet is read")
    _refuse_unsaid(kinds, body[0], given)
    prepares = any(kind in PREPARING for names in kinds.values() for kind in names)
    convolutions = _order_of_convolutions(bodies[body[0]])
    arrays = {}
    for path, dataset in datasets(file):
        if path.startswith("optimizer/") or "seed_generator" in path or re.search(r"(^|/)normalization(_\d+)?/vars/", path):
            continue
        match = re.fullmatch(r"layers/(.*/)?(conv2d|batch_normalization|dense)(?:_(\d{1,4}))?/vars/([0-3])", path)
        kind, variables = KERAS3[match[2]] if match else ("", ())
        number = int(match[3] or 0) if match else 0
        layers = [] if not match else [f"dense{number or ''}"] * (number + 1) if kind == "dense" else [f"{name}_{kind}" for name in convolutions]
        if not match or number >= len(layers) or int(match[4]) >= len(variables):
            raise InputError(f"it has a variable {path[:60]} that a Keras ResNet does not have")
        keep(arrays, f"{layers[number]}/{variables[int(match[4])]}", dataset)
    return arrays, prepares


def _bodies(layers, prefix="", depth=0):
    """{path: names of its layers} of the models in a .weights.h5, which hold one another."""
    names, found = list(layers), {}
    if depth > keras_config.DEEPEST or len(names) > MAX_VISITS:
        raise InputError("it holds more than any network that we know: refused")
    found[prefix] = names
    for name in names:
        if isinstance(layers.get(name, getlink=True), h5py.HardLink) and isinstance(layers[name], h5py.Group) and isinstance(
                layers[name].get("layers", getlink=True), h5py.HardLink):
            found |= _bodies(layers[name]["layers"], f"{prefix}{name}/", depth + 1)
    return found


def _refuse_unsaid(kinds, body, given):
    """InputError for layers that do something of which such a file does not say what, unless the user did."""
    for path, names in kinds.items():
        for kind in names:
            activations = kind in ("activation", "softmax") and (path != body or kind == "softmax" or names.count(kind) > 1 + 3 * names.count("add"))
            if kind in PREPARING and "preprocessing" not in given:
                raise InputError(f"it has a {kind} layer, and a .weights.h5 does not hold what it does to the pixels: say it by --mean, --deviation "
                                 "and --pixel-scale (pixels are RGB there), or give the .keras or .h5 file of the whole model")
            if activations and "multi_label" not in given:
                raise InputError("it has an activation behind its Dense layer, and a .weights.h5 does not hold which: say --multi-label where it "
                                 "is a sigmoid, or give the .keras or .h5 file of the whole model")
            if not (kind in SILENT or kind in MODEL_GROUPS or kind.startswith("random_") and kind != "random_crop" or activations
                    or kind == "activation" or kind in PREPARING):
                raise InputError(f"it has a layer {kind[:40]}, of which a .weights.h5 does not hold what it does: give the .keras or .h5 file of the "
                                 "whole model")


def _order_of_convolutions(layers):
    """Names of a ResNet's convolutions as Keras numbers them: a projection comes in front of the third."""
    count = sum(1 for name in layers if re.fullmatch(r"conv2d(_\d{1,4})?", name))
    for depth in RESNET_BLOCKS:
        names = [layer_name(path, part) for path, part, *_ in resnet_units(depth, 64)]
        if len(names) == count:
            for place, name in enumerate(names):
                if name.endswith("_0"):
                    names[place - 1:place + 1] = [name, names[place - 1]]
            return names
    return []
