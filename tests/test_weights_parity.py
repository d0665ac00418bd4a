"""Published weights mean here what they mean at home: the same features and logits, to float32's rounding."""

import glob
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import nets
import weights

import python2_pickle

FIXTURES = os.path.join(os.path.dirname(__file__), "fixtures")
SAMPLES = os.path.join(os.path.dirname(__file__), "..", "samples")
SIZES = [(224, 224), (160, 288), (97, 131)]  # odd sizes show whose padding it is


def textured_pictures(rng):
    """uint8 [1, H, W, 3] for each of SIZES: smooth and rough at once, as photographs are."""
    for height, width in SIZES:
        coarse = tf.image.resize(rng.uniform(0, 255, (1, 7, 9, 3)), (height, width), "bicubic").numpy()
        yield np.clip(coarse + rng.normal(0, 25, coarse.shape), 0, 255).astype(np.uint8)


def pictures():
    yield from textured_pictures(np.random.default_rng(0))
    for path in sorted(glob.glob(os.path.join(SAMPLES, "*.jpg")))[:3]:
        yield tf.io.decode_jpeg(tf.io.read_file(path), channels=3).numpy()[None, ::2, ::2]


def network(loaded):
    net = nets.build(loaded.network, len(loaded.classes))
    nets.assign(net, loaded.tensors)
    return net


def assert_close(ours, theirs, what):
    """Within 1e-4 of the tensor's largest magnitude, and the tensor is not trivial."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    largest = np.abs(theirs).max()
    difference = np.abs(ours - theirs).max() / largest
    print(f"{what}: largest difference {difference:.1e} of {largest:.3g}")
    assert theirs.std() > 1e-3 * largest
    assert difference < 1e-4, what


# ---------------------------------------------------------------- Keras

@pytest.fixture(scope="module")
def keras_resnet():
    """keras.applications.ResNet50 with nothing at its initial value, for pictures of any size."""
    import keras

    rng = np.random.default_rng(1)
    top = keras.applications.ResNet50(weights=None, classifier_activation=None)
    kinds = {"kernel": lambda shape: rng.standard_normal(shape, np.float32) * (2 / np.prod(shape[:-1])) ** 0.5,
             "bias": lambda shape: rng.normal(0, 0.2, shape), "gamma": lambda shape: rng.uniform(0.3, 0.9, shape),
             "beta": lambda shape: rng.normal(0, 0.2, shape),
             "moving_mean": lambda shape: rng.normal(0, 0.3, shape),
             "moving_variance": lambda shape: rng.uniform(0.5, 2, shape)}
    for variable in top.weights:
        variable.assign(kinds[variable.name](variable.shape))
    features = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(None, None, 3))
    features.set_weights(top.get_weights()[:-2])
    return top, features


def save_at_the_root(model, path):
    """The form of the published files. Keras 3 still reads it, and writes it only by this internal function."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@pytest.fixture(scope="module")
def keras_file(keras_resnet, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("keras") / "root.h5")
    save_at_the_root(keras_resnet[0], path)
    return path


@pytest.mark.slow
def test_keras_resnet50_has_the_same_features_and_logits(keras_resnet, keras_file):
    import keras

    top, features = keras_resnet
    loaded = weights.load(keras_file)
    assert loaded.network["stride_on"] == "1x1" and len(loaded.classes) == 1000
    net = network(loaded)
    for picture in pictures():
        x = keras.applications.resnet50.preprocess_input(picture.astype(np.float32))
        map_there = features(x).numpy()
        logits_there = top.get_layer("predictions")(map_there.mean((1, 2))).numpy()
        logits, named = net(tf.constant(x))
        assert_close(named["features"], map_there, f"features {picture.shape}")
        assert_close(logits, logits_there, f"logits {picture.shape}")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["model.save", "weights.h5", "notop"])
def test_all_forms_of_keras_files_hold_the_same_tensors(form, keras_resnet, keras_file, tmp_path):
    top, features = keras_resnet
    path = str(tmp_path / "model.h5")
    if form == "model.save":
        top.save(path)
    elif form == "notop":
        save_at_the_root(features, path)
    else:
        path = str(tmp_path / "model.weights.h5")
        top.save_weights(path)
    wanted, found = weights.load(keras_file), weights.load(path)
    expected = {name: tensor for name, tensor in wanted.tensors.items()
                if form != "notop" or not name.startswith("head/")}
    assert set(found.tensors) == set(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found.tensors[name], tensor, err_msg=name)
    assert found.network == wanted.network and found.preprocessing == wanted.preprocessing
    assert found.classes == ([] if form == "notop" else wanted.classes)


# ---------------------------------------------------------------- torchvision

@pytest.mark.parametrize("file", ["narrow_resnet26.pth", "narrow_resnet26.safetensors"])
def test_torchvision_resnet_has_the_same_features_and_logits(file):
    """Against answers that torchvision's own forward pass gave (fixtures/make_torch_fixtures.py)."""
    net = network(weights.load(os.path.join(FIXTURES, file)))
    answers = np.load(os.path.join(FIXTURES, "narrow_resnet26_answers.npz"))
    x = np.random.default_rng(0).standard_normal((2, 64, 96, 3)).astype(np.float32)
    logits, named = net(tf.constant(x))
    assert_close(named["features"], answers["features"], "features")
    assert_close(logits, answers["logits"], "logits")


def test_torchvision_resnet50_has_the_same_features_and_logits(tmp_path):
    for package in ("torch", "torchvision", "safetensors"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; the narrow network's fixtures stand for it")
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    inputs = {f"{picture.shape}": ((picture / 255 - mean) / deviation).astype(np.float32) for picture in pictures()}
    np.savez(tmp_path / "pictures.npz", **inputs)
    subprocess.run([sys.executable, os.path.join(FIXTURES, "make_torch_fixtures.py"), tmp_path], check=True)
    answers = np.load(tmp_path / "answers.npz")
    for file in ("resnet50.pth", "resnet50.safetensors"):
        loaded = weights.load(tmp_path / file)
        assert loaded.network["depth"] == 50 and loaded.network["stride_on"] == "3x3" and len(loaded.classes) == 1000
        net = network(loaded)
        for name, x in inputs.items():
            logits, named = net(tf.constant(x))
            assert_close(named["features"], answers[f"{name} features"], f"{file} features {name}")
            assert_close(logits, answers[f"{name} logits"], f"{file} logits {name}")


# ---------------------------------------------------------------- AlexNet

def caffe_convolution(x, kernel, bias, *, stride=1, pad=0, groups=1):
    """Caffe's Convolution and ReLU in float64; x [H, W, C], kernel HWIO."""
    x = np.pad(x, [(pad, pad), (pad, pad), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (0, 1))[::stride, ::stride]
    maps = [np.einsum("yxcij,ijco->yxo", part, weight, optimize=True)
            for part, weight in zip(np.split(windows, groups, 2), np.split(kernel.astype(np.float64), groups, 3))]
    return np.maximum(np.concatenate(maps, 2) + bias, 0)


def caffe_norm(x, size=5, alpha=1e-4, beta=0.75):
    """Caffe's LRN across channels: x / (1 + alpha / size * sum of squares of its neighbours)^beta."""
    squares = np.pad(x * x, [(0, 0), (0, 0), (size // 2, size // 2)])
    sums = np.lib.stride_tricks.sliding_window_view(squares, size, 2).sum(-1)
    return x / (1 + alpha / size * sums) ** beta


def caffe_pool(x):
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), (0, 1))[::2, ::2].max((3, 4))


def caffe_alexnet(x, layers):
    """Output of each convolution of BVLC AlexNet (bvlc_alexnet/deploy.prototxt), behind its ReLU."""
    found = {}
    found["conv1"] = caffe_convolution(x, *layers["conv1"], stride=4)
    x = caffe_pool(caffe_norm(found["conv1"]))
    found["conv2"] = caffe_convolution(x, *layers["conv2"], pad=2, groups=2)
    x = caffe_pool(caffe_norm(found["conv2"]))
    found["conv3"] = caffe_convolution(x, *layers["conv3"], pad=1)
    found["conv4"] = caffe_convolution(found["conv3"], *layers["conv4"], pad=1, groups=2)
    found["conv5"] = caffe_convolution(found["conv4"], *layers["conv5"], pad=1, groups=2)
    return found


@pytest.mark.parametrize("head", ["gap", "star"])
def test_alexnets_convolutions_are_caffes(head, tmp_path):
    rng = np.random.default_rng(2)
    layers = python2_pickle.alexnet(rng, ("conv1", "conv2", "conv3", "conv4", "conv5"))
    python2_pickle.write(tmp_path / "alexnet.npy", layers)
    loaded = weights.load(tmp_path / "alexnet.npy")
    net = nets.build(loaded.network | {"head": head}, 10)
    missing = nets.assign(net, loaded.tensors, partial=True)
    assert not [name for name in missing if not nets.is_head(net, name)]
    picture = tf.image.resize(rng.uniform(0, 255, (1, 9, 9, 3)), (227, 227), "bicubic").numpy()
    x = picture[..., ::-1].astype(np.float32) - np.float32(loaded.preprocessing.mean)
    _, named = net(tf.constant(x))
    for layer, wanted in caffe_alexnet(x[0].astype(np.float64), layers).items():
        assert_close(named[layer][0], wanted, layer)
