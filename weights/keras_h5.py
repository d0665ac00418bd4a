"""The ResNets of keras.applications, with any head, in the forms of file that Keras has written.

- `resnet50_weights_tf_dim_ordering_tf_kernels.h5` and its like: one group for each layer, at the root;
- `model.save("x.h5")`: the same groups under "model_weights", and "model_config";
- Keras 3, `model.save_weights("x.weights.h5")`: "layers/conv2d_7/vars/0", and nothing that says what the layers are;
- Keras 3, `model.save("x.keras")`: such a file and a config.json in a zip file.

Where the file has its model's configuration, that says the input's size, preprocessing, head and
activation (`weights.keras_config`). Convolutions have biases, which are folded exactly into the
statistics behind them: norm(x + b; mean) = norm(x; mean - b).
Source: keras.applications.resnet, keras.applications.imagenet_utils.preprocess_input.
"""

import io
import re
import zipfile
from dataclasses import replace

import h5py
import numpy as np

from cam_base import InputError, Preprocessing
from . import keras_config
from .hdf5 import LARGEST_TEXT, config_text, datasets, keep
from .keras_groups import layer_name, named_by, nameless
from .keras_preparing import RESIZED, preparation
from .layout import Foreign, resnet_depth, resnet_units
from .store import Weights, stored_entries
from .torchvision import two_of_one

STATE = "seed_generator_state"  # of random layers
# keras.utils.load_img(path, target_size=(224, 224)) takes the nearest pixel of the whole picture.
PREPROCESSING = Preprocessing(
    size=224, channels="BGR", scale=1.0, mean=(103.939, 116.779, 123.68), deviation=(1.0, 1.0, 1.0),
    interpolation="nearest", antialias=False, centre_crop=0)
NORM = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}
LARGEST_ARCHIVED = 4 << 30  # bytes of the variables in a .keras archive


def read(path, given=frozenset()):
    """Weights of a Keras ResNet-50, -101 or -152; InputError for any other file.

    given  what the user says besides, of "preprocessing" and "multi_label": a .weights.h5 does not say it
    """
    if zipfile.is_zipfile(path):
        return _read_archive(path)
    with h5py.File(path, "r") as file:
        if isinstance(file.get("layers", getlink=True), h5py.HardLink):
            arrays, prepares = nameless(file, given)
            weights = _convert(arrays, None)
            return replace(weights, preprocessing=Preprocessing(PREPROCESSING.size, **RESIZED)) if prepares else weights
        nested = isinstance(file.get("model_weights", getlink=True), h5py.HardLink)
        text = config_text(path, file) if nested else None
        arrays = _layer_names(file["model_weights"] if nested else file)
        if text is None:
            _refuse_relatives(arrays)
        return _convert(arrays, keras_config.read(text) if text is not None else None)


def _read_archive(path):
    """Of a .keras archive the configuration and the variables; nothing else in it is looked at."""
    with zipfile.ZipFile(path) as archive:
        entries = stored_entries(archive)
        texts = [archive.read(entries[name]) for name in ("config.json", "model.weights.h5")
                 if entries[name].file_size <= (LARGEST_TEXT if name == "config.json" else LARGEST_ARCHIVED)]
    if len(texts) != 2:
        raise InputError("its configuration or its variables are too large to be read")
    model = keras_config.read(texts[0])
    with h5py.File(io.BytesIO(texts[1]), "r") as file:
        return _convert(named_by(model.groups, file), model)


def _convert(arrays, model):
    foreign = Foreign(arrays)
    depth, width = resnet_depth(_blocks(arrays)), foreign.shape("conv1_conv/kernel")[-1]
    tensors = {}
    for path, part, convolution, norm, shape in resnet_units(depth, width):
        name = layer_name(path, part)
        tensors[f"{convolution}/kernel"] = foreign.take(f"{name}_conv/kernel", shape)
        bias = foreign.take(f"{name}_conv/bias", shape[3:])
        for ours, theirs in NORM.items():
            tensors[f"{norm}/{ours}"] = foreign.take(f"{name}_bn/{theirs}", shape[3:])
        tensors[f"{norm}/mean"] -= bias
    activation = model.activation if model else None
    dense = model.head if model else _dense(foreign)
    units = foreign.shape(f"{dense}/kernel")[-1] if dense else 0
    head, classes = _head(foreign, dense, 32 * width, activation)
    preprocessing = PREPROCESSING if model is None else preparation(model, lambda name: _moments(foreign, name), PREPROCESSING)
    foreign.finish()
    network = {"name": "resnet", "depth": depth, "width": width, "stem": "7x7/4", "stride_on": "1x1",
               "output_stride": 32, "epsilon": model.epsilon if model else 1.001e-5}
    return Weights(network, tensors | head, classes, preprocessing, {"origin": f"keras.applications ResNet-{depth}"},
                   multi_label=activation == "sigmoid" and units > 1)


def _dense(foreign):
    """The name of the one layer with a matrix behind the convolutions, whatever it is called; None where there is none."""
    found = [name for name, array in foreign.left.items() if len(array.shape) == 2 and name.endswith("/kernel")]
    if len(found) > 1:
        raise InputError(f"it has {len(found)} Dense layers ({', '.join(found[:4])}): CAM is not defined behind two layers, only behind one "
                         "that follows the pooling")
    return found[0].removesuffix("/kernel") if found else None


def _head(foreign, dense, features, activation):
    """({path: array} of the Dense layer, its classes); both empty where there is none. One sigmoid becomes two classes."""
    if dense is None:
        return {}, []
    outputs = foreign.shape(f"{dense}/kernel")[-1]
    if outputs == 1 and activation == "softmax":
        raise InputError(f"its layer {dense} has one unit and a softmax, which is 1 whatever the picture shows")
    kernel = foreign.take(f"{dense}/kernel", (features, outputs))
    bias = foreign.take(f"{dense}/bias", (outputs,)) if f"{dense}/bias" in foreign else np.zeros(outputs, np.float32)
    return two_of_one(kernel, bias)


def _moments(foreign, name):
    """(mean, variance) of a Normalization layer, float32 [3]."""
    for left in [left for left in foreign.left if left == f"{name}/count"]:
        del foreign.left[left]
    return [foreign.take(f"{name}/{what}", (3,)) for what in ("mean", "variance")]


def _refuse_relatives(arrays):
    if any(name.startswith("res2a_branch2a") for name in arrays):
        raise InputError("it is the older Keras ResNet-50 (layers res2a_branch2a ..., epsilon 1e-3), whose padding "
                         "changed between the Keras versions that used it; take resnet50-keras instead")
    keras_config.refuse_v2(arrays)


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
    """{"conv1_conv/kernel": data set} of a file with one group for each layer, also one within another's."""
    arrays = {}
    for path, dataset in datasets(root):
        *_, layer, variable = path.partition(":")[0].split("/") if "/" in path else ("", path)
        if variable == STATE or layer.startswith("seed_generator"):
            continue
        keep(arrays, f"{layer}/{variable}", dataset)
    return arrays
