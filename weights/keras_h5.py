"""The ResNets of keras.applications, in the three forms of HDF5 file that Keras has written.

- `resnet50_weights_tf_dim_ordering_tf_kernels.h5` and its like: one group for each layer, at the root;
- `model.save("x.h5")`: the same groups under "model_weights";
- Keras 3, `model.save_weights("x.weights.h5")`: "layers/conv2d_7/vars/0".

Their convolutions have biases, which are folded exactly into the statistics
behind them: norm(x + b; mean) = norm(x; mean - b).
Source: keras.applications.resnet, keras.applications.imagenet_utils.preprocess_input.
"""

import re

import h5py
import numpy as np

from cam_base import InputError, Preprocessing
from weights.ilsvrc import categories
from weights.layout import RESNET_BLOCKS, Foreign, resnet_depth, resnet_units
from weights.store import Weights

# keras.utils.load_img(path, target_size=(224, 224)) takes the nearest pixel of the whole picture.
PREPROCESSING = Preprocessing(
    size=224, channels="BGR", scale=1.0, mean=(103.939, 116.779, 123.68), deviation=(1.0, 1.0, 1.0),
    interpolation="nearest", antialias=False, centre_crop=0)
NORM = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}
PART = {"stem": "1", "conv1": "1", "conv2": "2", "conv3": "3", "project": "0"}
# The second is keras_applications' name of 2019, when the published files were written.
HEADS = ("predictions", "probs")
MAX_VISITS = 10_000  # ResNet-152 has about 2000 groups and data sets
KERAS3 = {"conv2d": ("conv", ("kernel", "bias")), "dense": ("dense", ("kernel", "bias")),
          "batch_normalization": ("bn", ("gamma", "beta", "moving_mean", "moving_variance"))}


def read(path):
    """Weights of a Keras ResNet-50, -101 or -152; InputError for any other file."""
    with h5py.File(path, "r") as file:
        if isinstance(file.get("layers", getlink=True), h5py.HardLink):
            arrays = _keras3_names(file)
        else:
            nested = isinstance(file.get("model_weights", getlink=True), h5py.HardLink)
            arrays = _layer_names(file["model_weights"] if nested else file)
        return _convert(arrays)


def _convert(arrays):
    _refuse_relatives(arrays)
    foreign = Foreign(arrays)
    depth, width = resnet_depth(_blocks(arrays)), foreign.shape("conv1_conv/kernel")[-1]
    tensors = {}
    for path, part, convolution, norm, shape in resnet_units(depth, width):
        name = _layer_name(path, part)
        tensors[f"{convolution}/kernel"] = foreign.take(f"{name}_conv/kernel", shape)
        bias = foreign.take(f"{name}_conv/bias", shape[3:])
        for ours, theirs in NORM.items():
            tensors[f"{norm}/{ours}"] = foreign.take(f"{name}_bn/{theirs}", shape[3:])
        tensors[f"{norm}/mean"] -= bias
    classes = []
    for head in HEADS:
        if f"{head}/kernel" in foreign:
            outputs = foreign.shape(f"{head}/kernel")[-1]
            tensors["head/kernel"] = foreign.take(f"{head}/kernel", (32 * width, outputs))
            tensors["head/bias"] = foreign.take(f"{head}/bias", (outputs,))
            classes = categories(outputs)
            break
    foreign.finish()
    network = {"name": "resnet", "depth": depth, "width": width, "stem": "7x7/4", "stride_on": "1x1",
               "output_stride": 32, "epsilon": 1.001e-5}
    return Weights(network, tensors, classes, PREPROCESSING, {"origin": f"keras.applications ResNet-{depth}"})


def _layer_name(path, part):
    return "conv1" if path is None else f"conv{path[0] + 2}_block{path[1] + 1}_{PART[part]}"


def _refuse_relatives(arrays):
    if any(name.startswith("res2a_branch2a") for name in arrays):
        raise InputError("it is the older Keras ResNet-50 (layers res2a_branch2a ..., epsilon 1e-3), whose padding "
                         "changed between the Keras versions that used it; take resnet50-keras instead")
    if any("_preact_" in name for name in arrays):
        raise InputError("it is a Keras ResNetV2 (batch norm in front of the convolutions), which is not read here")


def _blocks(arrays):
    blocks = [0, 0, 0, 0]
    for name in arrays:
        match = re.fullmatch(r"conv([2-5])_block(\d{1,3})_3_conv/kernel", name)
        if match:
            stage = int(match[1]) - 2
            blocks[stage] = max(blocks[stage], int(match[2]))
    if not any(blocks):
        raise InputError("its layers are not those of a Keras ResNet (it has no conv2_block1_3_conv)")
    return blocks


def _layer_names(root):
    """{"conv1_conv/kernel": data set} of a file with one group for each layer."""
    arrays = {}
    for path, dataset in _datasets(root):
        layer, _, variable = path.rpartition(":")[0].partition("/") if ":" in path else path.partition("/")
        arrays[f"{layer}/{variable.rpartition('/')[2]}"] = dataset
    return arrays


def _keras3_names(file):
    """The same of a Keras 3 file, which calls its layers conv2d, conv2d_1, ... in their order.

    Later versions add each layer's own name as an attribute. It is not read: in
    a damaged file, a text of variable length makes the HDF5 library crash. An
    order that were not Keras' would show in the kernels' shapes.
    """
    convolutions = _order_of_convolutions(file["layers"])
    arrays = {}
    for path, dataset in _datasets(file["layers"]):
        match = re.fullmatch(r"(conv2d|batch_normalization|dense)(?:_(\d{1,4}))?/vars/([0-3])", path)
        kind, variables = KERAS3[match[1]] if match else ("", ())
        layers = HEADS[:1] if kind == "dense" else [f"{name}_{kind}" for name in convolutions]
        if not match or int(match[2] or 0) >= len(layers) or int(match[3]) >= len(variables):
            raise InputError(f"it has a variable {path[:60]} that a Keras ResNet does not have")
        arrays[f"{layers[int(match[2] or 0)]}/{variables[int(match[3])]}"] = dataset
    return arrays


def _order_of_convolutions(layers):
    """Names of a ResNet's convolutions as Keras numbers them: a projection comes in front of the third."""
    count = sum(1 for name in layers if re.fullmatch(r"conv2d(_\d+)?", name))
    for depth in RESNET_BLOCKS:
        names = [_layer_name(path, part) for path, part, *_ in resnet_units(depth, 64)]
        if len(names) == count:
            for place, name in enumerate(names):
                if name.endswith("_0"):
                    names[place - 1:place + 1] = [name, names[place - 1]]
            return names
    return []


def _datasets(root):
    """(path, data set) of all below a group, by hard links only: no other file is ever opened."""
    found, waiting, visits = [], [("", root)], 0
    while waiting:
        prefix, group = waiting.pop()
        for name in group:
            visits += 1  # groups may hold one another, without end
            if visits > MAX_VISITS:
                raise InputError("it holds more than any network that we know: refused")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"its entry {prefix}{name} is a link to elsewhere: refused")
            item, path = group[name], f"{prefix}{name}"
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}/", item))
            else:
                _check_plain(path, item)
                found.append((path, item))
    return found


def _check_plain(path, dataset):
    """Keras writes contiguous numbers; whatever could be larger than the file, or elsewhere, is refused."""
    plain = (isinstance(dataset, h5py.Dataset) and dataset.chunks is None and dataset.external is None and not dataset.is_virtual
             and isinstance(dataset.dtype, np.dtype) and dataset.dtype.kind in "fiu"
             and dataset.id.get_storage_size() == dataset.nbytes)
    if not plain:
        raise InputError(f"its data set {path[:60]} is compressed, chunked, external or empty; "
                         "Keras writes none such: refused")
