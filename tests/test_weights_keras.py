"""Whole models that Keras saved: against what Keras itself computes, and refused by the name of what is not understood."""

import copy
import functools
import json
import os
import random
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

import localization
import weights
from cam_base import Category, InputError
from weights import keras_config, keras_preparing

keras = pytest.importorskip("keras")
L = keras.layers
SIDE, WIDTH = 64, 8
PICTURES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8) // np.uint8([1, 2, 5])[:, None, None, None]
PICTURES[1, :, :, 2], PICTURES[2, 20:50, 10:40] = 250, (200, 10, 90)
pytestmark = pytest.mark.slow  # each model is built by Keras in a second or two


def narrowed(value):
    """A model's configuration with an eighth of the channels."""
    if isinstance(value, dict):
        return {key: one // 8 if key == "filters" else narrowed(one) for key, one in value.items() if key != "build_config"}
    return [narrowed(one) for one in value] if isinstance(value, list) else value


@functools.cache
def configuration_of_base(side, pooling):
    return narrowed(keras.applications.ResNet50(weights=None, include_top=False, input_shape=(side, side, 3), pooling=pooling).get_config())


def base(side=SIDE, pooling=None):
    """keras.applications' ResNet-50 with 8 channels in its stem, and statistics as of a trained one."""
    model = keras.Model.from_config(copy.deepcopy(configuration_of_base(side, pooling)))
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            shape = layer.gamma.shape
            scale = 0.2 if layer.name.endswith("_3_bn") else 0.8  # so that no answer is certain
            layer.set_weights([scale * rng.uniform(0.5, 1.5, shape), rng.normal(0, 0.1, shape), rng.normal(0, 0.1, shape), rng.uniform(0.5, 2, shape)])
    return model


def flat(*behind, side=SIDE, activation="softmax", units=5, **dense):
    model = base(side)
    x = L.GlobalAveragePooling2D()(model.output)
    for layer in behind:
        x = layer(x)
    return keras.Model(model.input, L.Dense(units, activation=activation, **dense)(x))


def nested(*front, units=5, activation="softmax", side=SIDE, inputs=SIDE):
    return keras.Sequential([keras.Input((inputs, inputs, 3)), *front, base(side, pooling="avg"), L.Dense(units, activation=activation)])


def adapted():
    layer = L.Normalization()
    layer.adapt(PICTURES.astype(np.float32))
    return layer


def functional():
    inputs = keras.Input((SIDE, SIDE, 3))
    x = L.Rescaling([1 / 127.5, 1 / 60, 1 / 80], [-1.0, -2.0, 0.5])(L.RandomRotation(0.1)(L.RandomFlip()(inputs)))
    return keras.Model(inputs, L.Dense(5)(L.Dropout(0.2)(base(pooling="avg")(x, training=False))))


def with_activation_layer():
    model = flat(activation=None)
    return keras.Model(model.input, L.Softmax()(model.output))


MODELS = {
    "flat": flat,
    "a head of another name": lambda: flat(L.Dropout(0.3), name="cats_and_dogs"),
    "no bias": lambda: flat(use_bias=False),
    "nested": nested,
    "augmented and rescaled": lambda: nested(keras.Sequential([L.RandomFlip(), L.RandomZoom(0.1)]), L.Rescaling(1 / 255), L.GaussianNoise(0.1)),
    "rescaled by channel": functional,
    "normalised": lambda: nested(adapted()),
    "normalised by numbers": lambda: nested(L.Normalization(mean=[100.0, 110.0, 120.0], variance=[3000.0, 3100.0, 3200.0])),
    "rescaled twice": lambda: nested(L.Rescaling(1 / 255), L.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.05, 0.06])),
    "an activation of its own": with_activation_layer,
    "one sigmoid": lambda: flat(units=1, activation="sigmoid"),
    "sigmoids": lambda: nested(L.Rescaling(1 / 255), activation="sigmoid"),
    "two sigmoids": lambda: flat(units=2, activation="sigmoid")}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A function of a name in MODELS and an ending to the model and its file, each made once."""
    folder, made = tmp_path_factory.mktemp("keras"), {}

    def saved(name, ending):
        if name not in made:
            keras.utils.set_random_seed(0)
            made[name] = MODELS[name]()
        path = str(folder / f"{name}{ending}")
        if not os.path.exists(path):
            (made[name].save_weights if ending == ".weights.h5" else made[name].save)(path)
        return made[name], path

    return saved


def prepares(model):
    return any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in model.layers)


def probabilities(localizer):
    return np.stack([localizer.class_maps(localizer._prepare(picture)[None], lambda chances: chances.argsort()[:, :1]).probabilities[0]
                     for picture in PICTURES])


def check(model, localizer):
    inputs = PICTURES.astype(np.float32)
    expected = np.asarray(model(inputs if prepares(model) else keras.applications.resnet.preprocess_input(inputs.copy()), training=False))
    last = model.layers[-1]
    if isinstance(last, L.Dense) and last.activation.__name__ == "linear":
        expected = np.asarray(tf.nn.softmax(expected))
    found = probabilities(localizer)
    if expected.shape[1] == 1:
        expected = np.concatenate([1 - expected, expected], 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-4  # pictures differ


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize("name", MODELS)
def test_a_whole_model_gives_what_keras_gives(name, ending, models):
    model, path = models(name, ending)
    check(model, localization.load(path))
    loaded = weights.load(path)
    assert loaded.preprocessing.size == SIDE and loaded.multi_label == (name in ("sigmoids", "two sigmoids"))
    assert loaded.preprocessing.channels == ("RGB" if prepares(model) else "BGR")


@pytest.mark.parametrize("name", ["flat", "a head of another name", "no bias", "nested", "one sigmoid"])
def test_variables_alone_are_read_where_nothing_else_is_needed(name, models):
    model, path = models(name, ".weights.h5")
    # Its input's size is in no such file, and the published one is the usual.
    check(model, localization.load(path, preprocessing={"size": SIDE}))
    assert weights.load(path).preprocessing.size == 224


def test_variables_alone_are_refused_until_it_is_said_what_their_layers_do(models):
    model, path = models("augmented and rescaled", ".weights.h5")
    for ours in ({}, {"preprocessing": {"size": SIDE}}):
        with pytest.raises(InputError, match="rescaling layer, and a .weights.h5 does not hold .* --mean, --deviation and --pixel-scale"):
            localization.load(path, **ours)
    said = {"size": SIDE, "channels": "RGB", "scale": 1 / 255, "mean": (0, 0, 0), "deviation": (1, 1, 1)}
    check(model, localization.load(path, preprocessing=said))
    _, path = models("an activation of its own", ".weights.h5")
    with pytest.raises(InputError, match="activation behind its Dense layer.*--multi-label"):
        weights.load(path)
    model, path = models("sigmoids", ".weights.h5")
    check(model, localization.load(path, preprocessing=said, multi_label=True))


def test_one_logit_is_not_several_labels(models):
    _, path = models("one sigmoid", ".h5")
    with pytest.raises(InputError, match="one logit"):
        localization.load(path, multi_label=True)


def test_several_labels_are_kept_with_the_weights(models, tmp_path):
    model, path = models("sigmoids", ".keras")
    weights.save(str(tmp_path / "x.npz"), weights.load(path), "float32")
    check(model, localization.load(str(tmp_path / "x.npz")))
    assert weights.load(str(tmp_path / "x.npz")).multi_label


def test_any_input_behind_a_resizing_layer(tmp_path):
    inputs = keras.Input((None, None, 3))
    x = base(pooling="avg")(L.Rescaling(1 / 255)(L.Resizing(SIDE, SIDE)(inputs)))
    model = keras.Model(inputs, L.Dense(5, activation="softmax")(x))
    model.save(tmp_path / "x.keras")
    localizer = localization.load(str(tmp_path / "x.keras"))
    picture = np.random.default_rng(2).integers(0, 256, (90, 130, 3), np.uint8)
    (found,) = localizer(picture, top=1)
    np.testing.assert_allclose(found.probability, np.asarray(model(picture[None].astype(np.float32), training=False)).max(), atol=1e-5)


# ---------------------------------------------------------------- what is refused

@pytest.fixture(scope="module")
def configuration():
    """The configuration of a flat model, and of one with its base as a layer."""
    models = flat(), nested(L.Rescaling(1 / 255))
    return [{"class_name": type(model).__name__, "config": json.loads(model.to_json())["config"]} for model in models]


def refusal(model):
    with pytest.raises(InputError) as caught:
        keras_config.read(json.dumps(model))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def layer(kind, **config):
    return {"class_name": kind, "config": {"name": f"my_{kind.lower()}"} | config}


@pytest.mark.parametrize("place, extra, message", [
    (1, layer("Lambda"), "my_lambda (Lambda) is not understood"), (1, layer("RandomCrop", height=8, width=8), "RandomCrop"),
    (1, layer("CenterCrop", height=8, width=8), "CenterCrop"), (1, layer("GetItem"), "GetItem"), (2, layer("Conv2D"), "Conv2D"),
    (3, layer("Flatten"), "Flatten"), (3, layer("Dense", units=4, activation="linear"), "two Dense layers"),
    (4, layer("Dense", units=4, activation="linear"), "two Dense layers"), (4, layer("Activation", activation="tanh"), "not understood"),
    (1, layer("Rescaling", scale=[1, 2], offset=0), "one for each channel"), (1, layer("Rescaling", scale=-1, offset=0), "negative numbers"),
    (1, layer("Resizing", height=32, width=32), "does more"), (2, layer("GlobalAveragePooling2D"), "not understood at its place")])
def test_layers_that_are_not_understood_are_named(place, extra, message, configuration):
    model = copy.deepcopy(configuration[1])
    layers = model["config"]["layers"]
    layers.insert(place, extra)
    if message in ("one for each channel", "negative numbers", "does more"):
        read = keras_config.read(json.dumps(model))
        with pytest.raises(InputError, match=message):
            keras_preparing.preparation(read, None, weights.keras_h5.PREPROCESSING)
    else:
        assert message in refusal(model)


def edited(model, name, **changes):
    found = [one for one in keras_config._every_layer(model) if keras_config._name(one) == name]
    assert found
    for one in found:
        one["config"].update(changes)
    return model


@pytest.mark.parametrize("name, changes, message", [
    ("conv4_block1_1_conv", {"strides": [1, 1]}, "conv4_block1_1_conv is not as keras.applications builds it"),
    ("conv5_block2_2_conv", {"dilation_rate": [2, 2]}, "conv5_block2_2_conv"), ("conv1_bn", {"epsilon": 0.5}, "several epsilons"),
    ("conv2_block1_out", {"activation": "gelu"}, "conv2_block1_out"), ("pool1_pool", {"padding": "same"}, "pool1_pool"),
    ("conv1_pad", {"padding": [[1, 1], [1, 1]]}, "conv1_pad")])
def test_a_resnet_that_was_changed_is_refused(name, changes, message, configuration):
    for model in configuration:
        assert message in refusal(edited(copy.deepcopy(model), name, **changes))


def test_layers_beside_the_line_are_refused(configuration):
    model = copy.deepcopy(configuration[0])
    layers = model["config"]["layers"]
    more = copy.deepcopy(layers[-1])
    more["name"] = more["config"]["name"] = "second_output"
    layers.append(more)
    assert "second_output lies beside the line" in refusal(model)
    model["config"]["output_layers"] = [["dense", 0, 0], ["second_output", 0, 0]]
    assert "2 outputs" in refusal(model)
    assert "a class of its own" in refusal({"class_name": "MyModel", "config": configuration[0]["config"]})


@pytest.mark.parametrize("make, name", [
    (lambda: keras.applications.ResNet50V2(weights=None, classes=4), "ResNetV2"),
    (lambda: keras.applications.MobileNetV2(weights=None, classes=4), "mobilenetv2"),
    (lambda: keras.Sequential([keras.Input((32, 32, 3)), L.Conv2D(3, 3), L.GlobalAveragePooling2D(), L.Dense(3)]), "no ResNet")])
def test_other_networks_are_named(make, name, tmp_path):
    model = make()
    for ending in (".h5", ".keras", ".weights.h5"):
        path = str(tmp_path / f"x{ending}")
        (model.save_weights if ending == ".weights.h5" else model.save)(path)
        with pytest.raises(InputError) as caught:
            weights.load(path)
        assert name in str(caught.value) or ending == ".weights.h5" and "damaged" not in str(caught.value), str(caught.value)


def test_damaged_files_are_one_line_or_load(models, tmp_path):
    """200 flips and truncations of each of the files, in its first and last parts most of the time, where it says what it holds."""
    rng = random.Random(0)
    for name, ending in (("augmented and rescaled", ".keras"), ("augmented and rescaled", ".h5"), ("flat", ".weights.h5")):
        _, path = models(name, ending)
        with open(path, "rb") as file:
            good = file.read()
        loaded = 0
        for number in range(200):
            bad = bytearray(good)
            if number % 10 == 0:
                del bad[rng.randrange(len(bad)):]
            for _ in range(rng.randint(1, 4)):
                place = rng.choice([rng.randrange(len(good)), rng.randrange(4096), len(good) - 1 - rng.randrange(4096), rng.randrange(100_000)])
                if place < len(bad):
                    bad[place] = rng.randrange(256)
            path = tmp_path / f"bad{ending}"
            path.write_bytes(bad)
            try:
                weights.load(str(path))
                loaded += 1
            except InputError as error:
                assert "\n" not in str(error)
        assert loaded < 200


def test_an_archive_is_read_for_two_of_its_entries_alone(models, tmp_path):
    _, path = models("nested", ".keras")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "x.keras", "w") as other:
        for entry in archive.namelist():
            other.writestr(entry, archive.read(entry))
        other.writestr("assets/evil.py", "raise SystemExit")
    assert len(weights.load(str(tmp_path / "x.keras")).classes) == 5
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "y.keras", "w", zipfile.ZIP_DEFLATED) as other:
        for entry in archive.namelist():
            other.writestr(entry, archive.read(entry))
    with pytest.raises(InputError, match="compressed"):
        weights.load(str(tmp_path / "y.keras"))


def test_a_configuration_is_found_in_hdf5s_heap_without_its_library(models, tmp_path):
    """As text of variable length, which Keras writes, and of fixed length."""
    _, path = models("augmented and rescaled", ".h5")
    with h5py.File(path) as file:
        text = file.attrs["model_config"]
    with h5py.File(path) as file:
        assert weights.hdf5.config_text(path, file) == text.encode()
    with h5py.File(tmp_path / "fixed.h5", "w") as file:
        file.attrs["model_config"] = np.bytes_(b'{"class_name": "Sequential"}')
    with h5py.File(tmp_path / "fixed.h5") as file:
        assert weights.hdf5.config_text(str(tmp_path / "fixed.h5"), file) == b'{"class_name": "Sequential"}'


def test_names_of_classes_go_with_such_a_file(models, tmp_path):
    _, path = models("flat", ".keras")
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    assert localization.load(path, class_names=str(tmp_path / "names.txt")).classes[4] == Category(None, "e")


def test_constants_said_in_part_are_not_enough_and_pixels_are_red_green_blue(models):
    model, path = models("augmented and rescaled", ".weights.h5")
    with pytest.raises(InputError, match="--mean, --deviation and --pixel-scale"):
        localization.load(path, preprocessing={"size": SIDE, "scale": 1 / 255})
    # As the message says, and no more.
    check(model, localization.load(path, preprocessing={"size": SIDE, "scale": 1 / 255, "mean": (0, 0, 0), "deviation": (1, 1, 1)}))


def test_resizing_alone_says_nothing_of_the_pixels_values(configuration):
    model = copy.deepcopy(configuration[0])
    layers = model["config"]["layers"]
    layers[0]["config"]["batch_shape"] = [None, None, None, 3]
    resizing = layer("Resizing", height=SIDE, width=SIDE) | {"name": "my_resizing", "inbound_nodes": [[[layers[0]["name"], 0, 0, {}]]]}
    layers.insert(1, resizing)
    layers[2]["inbound_nodes"] = [[["my_resizing", 0, 0, {}]]]
    found = keras_preparing.preparation(keras_config.read(json.dumps(model)), None, weights.keras_h5.PREPROCESSING)
    assert (found.size, found.channels, found.mean, found.interpolation) == (SIDE, "BGR", weights.keras_h5.PREPROCESSING.mean, "bilinear")


def test_another_relu_is_refused(configuration):
    for changes, refused in (({"max_value": 6.0}, True), ({"negative_slope": 0.1}, True), ({"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, False)):
        model = copy.deepcopy(configuration[0])
        for one in model["config"]["layers"]:
            if one["config"].get("name") == "conv3_block2_out":
                one["class_name"], one["config"] = "ReLU", {"name": "conv3_block2_out"} | changes
        if refused:
            assert "conv3_block2_out is not as" in refusal(model)
        else:
            keras_config.read(json.dumps(model))
