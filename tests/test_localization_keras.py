"""Keras models in memory: what Keras itself answers, wherever pooling, Dense and activation lie, and what is refused."""

import re

import numpy as np
import pytest
import tensorflow as tf

import cam_base
import localization
from cam_base import Preprocessing

keras = pytest.importorskip("keras")
L = keras.layers
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
PLAIN = Preprocessing(size=32, scale=1.0, mean=(0, 0, 0), deviation=(1, 1, 1), antialias=False)


def small_model(layers, activation="softmax", **dense):
    """A Keras model with a convolution, and what is asked for behind it."""
    inputs = keras.Input([32, 32, 3])
    x = L.Rescaling(1 / 255)(inputs)
    x = L.Conv2D(6, 3, strides=2, activation="relu")(x)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, L.Dense(4, activation=activation, **dense)(x))


def check_keras(model, classes=("a", "b", "c", "d")):
    """Probabilities are the model's own; maps are equation 2 on the input of its pooling."""
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    result = localization.from_keras(model, classes)(pixels, top=4)
    expected = np.asarray(model(pixels[None].astype(np.float32)))[0]
    expected = expected if expected.sum() == pytest.approx(1) else np.asarray(tf.nn.softmax(expected))
    for found in result:
        assert found.probability == pytest.approx(expected[found.number], abs=1e-5)
    logits = [found.class_map.mean() + float(model.layers[-1].bias[found.number] if model.layers[-1].use_bias else 0)
              for found in result]
    np.testing.assert_allclose(np.diff(logits), np.diff(np.log([found.probability for found in result])), atol=1e-4)


def test_a_keras_model_in_memory():
    pooling, dropout = L.GlobalAveragePooling2D, L.Dropout
    check_keras(small_model([pooling()]))
    check_keras(small_model([pooling(), dropout(0.5)], activation=None))
    check_keras(small_model([pooling()], use_bias=False))
    base = keras.Sequential([keras.Input([32, 32, 3]), L.Rescaling(1 / 255), L.Conv2D(5, 3)])
    check_keras(keras.Sequential([base, pooling(), L.Dense(4, activation="softmax")]))


def test_a_keras_model_whose_maps_are_not_defined_is_refused():
    pooling = L.GlobalAveragePooling2D
    with pytest.raises(ValueError, match="GlobalAveragePooling2D and one Dense"):
        localization.from_keras(small_model([pooling(), L.Dense(3)]))
    with pytest.raises(ValueError, match="GlobalAveragePooling2D and one Dense"):
        localization.from_keras(small_model([L.Flatten()]))
    with pytest.raises(ValueError, match="activation is tanh"):
        localization.from_keras(small_model([pooling()], activation="tanh"))

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.pool, self.last = pooling(), L.Dense(4)

    for model in (Own(), keras.Sequential([L.Conv2D(6, 3), pooling(), L.Dense(4)])):
        with pytest.raises(ValueError, match="does not say its inputs: build it from keras.Input"):
            localization.from_keras(model)
    with pytest.raises(ValueError, match="align needs a network that says where its cells lie"):
        localization.from_keras(small_model([pooling()]), align=True)
    inputs = keras.Input([32, 32, 3])
    bare = keras.Model(inputs, L.Dense(4)(pooling()(L.Conv2D(6, 3)(inputs))))
    with pytest.raises(ValueError, match="cannot be seen.*say it by preprocessing"):
        localization.from_keras(bare)
    assert len(localization.from_keras(bare, list("abcd"), Preprocessing(size=32))(np.zeros((9, 9, 3)))) == 3


def test_what_a_keras_model_computes_outside_of_layers_is_not_overlooked():
    base = keras.Sequential([L.Conv2D(6, 3, name="Conv1")], name="mobilenetv2_1.00_32")
    pixels = keras.Input((32, 32, 3))
    pooled = L.GlobalAveragePooling2D()
    model = keras.Model(pixels, L.Dense(4)(pooled(base(pixels / 127.5 - 1))))
    with pytest.raises(ValueError, match=r"computes with its pixels first \(TrueDivide, Subtract\): say what it expects by preprocessing="):
        localization.from_keras(model, list("abcd"))
    plain = Preprocessing(size=32, scale=1.0, mean=(0, 0, 0), deviation=(1, 1, 1), antialias=False)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    found = localization.from_keras(model, list("abcd"), plain)(picture, classes=list("abcd"))
    wanted = tf.nn.softmax(model(picture[None].astype(np.float32)))[0]
    np.testing.assert_allclose([one.probability for one in found], wanted, atol=1e-5)
    behind = keras.Model(pixels, L.Dense(4)(keras.ops.normalize(pooled(base(pixels)))))
    with pytest.raises(ValueError, match="ends in GlobalAveragePooling2D, Normalize, Dense"):
        localization.from_keras(behind, list("abcd"), plain)


def test_preprocessing_of_keras_applications_is_known():
    pixels = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    for name, first, applications in (("resnet50", "conv1_conv", keras.applications.resnet),
                                      ("mobilenetv2_0.35_96", "Conv1", keras.applications.mobilenet_v2),
                                      ("densenet121", "conv1_conv", keras.applications.densenet)):
        inputs = keras.Input([96, 96, 3])
        maps = L.Conv2D(4, 3, strides=2, name=first)(inputs)
        model = keras.Model(inputs, L.Dense(1000)(L.GlobalAveragePooling2D()(maps)), name=name)
        localizer = localization.from_keras(model)
        wanted = applications.preprocess_input(pixels.astype(np.float32))
        np.testing.assert_allclose(localizer._prepare(pixels), wanted, atol=1e-4)
        dense = model.layers[-1]
        dense.kernel.assign(dense.kernel * (10 / np.ptp(model(wanted[None]))))  # or the classes are all as probable
        expected = np.asarray(tf.nn.softmax(model(wanted[None])))[0]
        (found,) = localizer(pixels, top=1)
        assert expected.max() > 0.01 and found.number == expected.argmax() and found.wnid.startswith("n")
        assert found.probability == pytest.approx(expected.max(), rel=1e-3)


# ---------------------------------------------------------------- Keras 3, and Keras 2 where it is installed

@pytest.fixture(params=["keras", "tf_keras"])
def either(request):
    keras = pytest.importorskip(request.param)
    keras.utils.set_random_seed(0)
    return keras


def convolved(keras, inputs, filters=5):
    return keras.layers.Conv2D(filters, 3, activation="relu")(inputs)


def ended(keras, *behind, units=3, activation=None, pixels=None, **dense):
    """A model with Rescaling, a convolution, pooling and a Dense of large weights, and layers behind it."""
    pixels = keras.Input((32, 32, 3)) if pixels is None else pixels
    features = convolved(keras, keras.layers.Rescaling(1 / 255)(pixels))
    x = keras.layers.GlobalAveragePooling2D()(features)
    x = keras.layers.Dense(units, activation=activation, kernel_initializer=keras.initializers.RandomNormal(stddev=3.0, seed=1), **dense)(x)
    for layer in behind:
        x = layer(x)
    return keras.Model(pixels, x)


def answers(model, picture=PICTURE):
    return np.asarray(model(picture[None].astype(np.float32), training=False))[0]


def probabilities(localizer, picture=PICTURE):
    return [one.probability for one in localizer(picture, classes=list(range(len(localizer.classes))))]


def test_one_unit_is_a_sigmoid(either):
    """Keras' own tutorial: cats 0, dogs 1, and one logit."""
    for activation, behind in ((None, []), ("sigmoid", []), (None, [either.layers.Activation("sigmoid")])):
        model = ended(either, *behind, units=1, activation=activation, bias_initializer=either.initializers.Constant(-2.0))
        wanted = answers(model)[0]
        wanted = wanted if activation or behind else 1 / (1 + np.exp(-wanted))
        assert 0.001 < wanted < 0.999
        dog = localization.from_keras(model, ["dog"])
        np.testing.assert_allclose(probabilities(dog), [wanted], atol=1e-5)
        for both in (localization.from_keras(model, ["cat", "dog"]), localization.from_keras(model)):
            np.testing.assert_allclose(probabilities(both), [1 - wanted, wanted], atol=1e-5)
            cats, dogs = (one.class_map for one in both(PICTURE, classes=[0, 1]))
            np.testing.assert_allclose(dogs, dog(PICTURE)[0].class_map / 2, atol=1e-5)
            np.testing.assert_allclose(cats, -dogs)
        with pytest.raises(ValueError, match="3 classes are named, and the network has 1 logit: one name, or two"):
            localization.from_keras(model, list("abc"))
    low = ended(either, units=1, bias_initializer=either.initializers.Constant(-5.0))
    low.layers[-1].set_weights([np.zeros((5, 1)), np.array([-5.0])])
    assert probabilities(localization.from_keras(low, ["dog"])) == [pytest.approx(0.0067, abs=1e-4)]
    with pytest.raises(ValueError, match="one unit and a softmax, which is 1 whatever"):
        localization.from_keras(ended(either, units=1, activation="softmax"), ["dog"])


def test_several_units_with_a_sigmoid_are_several_labels(either):
    for model in (ended(either, activation="sigmoid"), ended(either, either.layers.Activation("sigmoid"))):
        wanted = answers(model)
        assert abs(wanted.sum() - 1) > 0.01
        np.testing.assert_allclose(probabilities(localization.from_keras(model, list("abc"))), wanted, atol=1e-5)
    logits = ended(either)
    labels = localization.from_keras(logits, list("abc"), multi_label=True)
    np.testing.assert_allclose(probabilities(labels), tf.sigmoid(answers(logits)), atol=1e-5)


def test_an_activation_may_be_a_layer_of_its_own(either):
    layers = either.layers
    for behind in ([layers.Softmax()], [layers.Activation("softmax", dtype="float32")], [layers.Dropout(0.5), layers.Softmax()]):
        model = ended(either, *behind)
        np.testing.assert_allclose(probabilities(localization.from_keras(model, list("abc"))), answers(model), atol=1e-5)
    with pytest.raises(ValueError, match="activation is softmax of sigmoid"):
        localization.from_keras(ended(either, layers.Softmax(), activation="sigmoid"), list("abc"))


def test_a_pooling_may_lie_in_the_base_and_the_base_in_another(either):
    pixels = either.Input((32, 32, 3))
    features = convolved(either, pixels)
    base = either.Model(pixels, either.layers.GlobalAveragePooling2D()(features), name="base")
    middle = either.Sequential([either.Input((32, 32, 3)), either.layers.Rescaling(1 / 255), base], name="middle")
    head = either.layers.Dense(3, activation="softmax", kernel_initializer="random_normal")
    outer = either.Input((32, 32, 3))
    for model in (either.Sequential([either.Input((32, 32, 3)), either.layers.RandomFlip(), middle, either.layers.Dropout(0.3), head]),
                  either.Model(outer, head(middle(outer, training=False)))):
        localizer = localization.from_keras(model, list("abc"))
        np.testing.assert_allclose(probabilities(localizer), answers(model), atol=1e-5)
        wanted = np.asarray(either.Model(pixels, features)(PICTURE[None] / np.float32(255)))[0] @ np.asarray(head.kernel)
        np.testing.assert_allclose(localizer(PICTURE, classes=["b"])[0].class_map, wanted[..., 1], atol=1e-4)


def test_the_pooling_is_that_of_the_dense(either):
    pixels = either.Input((32, 32, 3))
    early = convolved(either, either.layers.Rescaling(1 / 255)(pixels))
    early_pooled = either.layers.GlobalAveragePooling2D()(early)
    late_pooled = either.layers.GlobalAveragePooling2D()(convolved(either, either.layers.MaxPooling2D()(early)))
    dense = either.layers.Dense(3, activation="softmax", kernel_initializer="random_normal")
    chances = dense(early_pooled)
    for outputs in ([chances, late_pooled], [late_pooled, chances], [early, chances]):
        localizer = localization.from_keras(either.Model(pixels, outputs), list("abc"))
        np.testing.assert_allclose(probabilities(localizer), answers(either.Model(pixels, chances)), atol=1e-5)
        assert localizer(PICTURE)[0].class_map.shape == (30, 30)
    with pytest.raises(ValueError, match="2 of the model's outputs end in a Dense"):
        localization.from_keras(either.Model(pixels, [chances, either.layers.Dense(3)(late_pooled)]), list("abc"))


@pytest.mark.parametrize("shape, words", [((32, 32, 1), "one picture of three channels"), ((32, 32, 4), "one picture of three channels"),
                                          ((40, 24, 3), "as high as wide")])
def test_other_inputs_are_refused_at_once(either, shape, words):
    pixels = either.Input(shape)
    model = either.Model(pixels, either.layers.Dense(3)(either.layers.GlobalAveragePooling2D()(convolved(either, pixels))))
    for preprocessing in (None, PLAIN):
        with pytest.raises(ValueError, match=words) as caught:
            localization.from_keras(model, list("abc"), preprocessing)
    if shape[2] == 3:  # as the message says
        wrapped = eval(re.search(r"keras\.Sequential\(.*\)", str(caught.value))[0], {"keras": either, "model": model})
        found = localization.from_keras(wrapped, list("abc"), cam_base.Preprocessing(**PLAIN.to_dict() | {"size": 40}))
        picture = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
        narrow = tf.image.resize(picture.astype(np.float32), (40, 24)).numpy()
        np.testing.assert_allclose(probabilities(found, picture), tf.nn.softmax(answers(model, narrow)), atol=1e-4)


def test_a_size_that_the_model_does_not_take_is_refused_at_once(either):
    model = ended(either)
    for options in ({"preprocessing": Preprocessing(size=64)}, {"scales": [32, 48]}):
        with pytest.raises(ValueError, match="input is 32 pixels a side, and it would be shown pictures of"):
            localization.from_keras(model, list("abc"), **options)


def test_any_size_behind_a_resizing_layer(either):
    pixels = either.Input((None, None, 3))
    model = either.Model(pixels, ended(either)(either.layers.Resizing(32, 32)(pixels)))
    picture = np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)
    localizer = localization.from_keras(model, list("abc"))
    np.testing.assert_allclose(probabilities(localizer, picture), tf.nn.softmax(answers(model, picture)), atol=1e-4)


# ---------------------------------------------------------------- pixels

def named_base(keras):
    return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(6, 3, name="conv1_conv")], name="resnet50")


def on_base(keras, prepare):
    pixels = keras.Input((32, 32, 3))
    return keras.Model(pixels, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(named_base(keras)(prepare(pixels)))))


def advised(error):
    """What a message says that `preprocessing` is to be, as it stands there."""
    return eval(re.search(r"preprocessing=(cam_base\.Preprocessing\(.*? antialias=False\))", str(error))[1], {"cam_base": cam_base})


def test_names_of_keras_applications_alone_say_nothing_of_pixels(either):
    """A network of one's own may be called resnet50, too: what its pixels were is not known."""
    for name in ("resnet50", "mobilenetv2_1.00_32", "densenet121", "inception_v3"):
        pixels = either.Input((32, 32, 3))
        pooled = either.layers.GlobalAveragePooling2D()(convolved(either, pixels))
        with pytest.raises(ValueError, match="no model of keras.applications by its name and layers"):
            localization.from_keras(either.Model(pixels, either.layers.Dense(3)(pooled), name=name), list("abc"))


def test_models_of_keras_applications_are_known_by_name_and_layers(either):
    applications = either.applications
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for build, prepare in ((applications.MobileNet, applications.mobilenet.preprocess_input),
                           (applications.MobileNetV2, applications.mobilenet_v2.preprocess_input),
                           (applications.VGG16, applications.vgg16.preprocess_input)):
        base = build(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg")
        model = either.Sequential([either.Input((32, 32, 3)), base, either.layers.Dense(3)])
        localizer = localization.from_keras(model, list("abc"))
        np.testing.assert_allclose(localizer._prepare(picture), prepare(picture.astype(np.float32)), atol=1e-4)


def test_what_changes_pixels_in_front_of_a_named_base_is_not_applied_twice(either):
    layers = either.layers
    silent = on_base(either, lambda pixels: layers.RandomRotation(0.1)(layers.RandomFlip()(pixels)))
    assert localization.from_keras(silent, list("abc")).viewing.channels == "BGR"  # keras.applications' own, which nothing has applied
    rescaled = on_base(either, layers.Rescaling(1 / 127.5, -1))
    np.testing.assert_allclose(probabilities(localization.from_keras(rescaled, list("abc"))), tf.nn.softmax(answers(rescaled)), atol=1e-5)
    changing = [either.applications.resnet50.preprocess_input, either.applications.mobilenet_v2.preprocess_input,
                layers.Lambda(lambda pixels: pixels / 255), layers.ReLU(), layers.Activation("tanh"), layers.Rescaling(2, -1),
                layers.Normalization(mean=[0.5, 0.5, 0.5], variance=[0.04, 0.04, 0.04])]
    for change in changing:
        model = on_base(either, change)
        with pytest.raises(ValueError, match="computes with its pixels first") as caught:
            localization.from_keras(model, list("abc"))
        localizer = localization.from_keras(model, list("abc"), preprocessing=advised(caught.value))
        np.testing.assert_allclose(probabilities(localizer), tf.nn.softmax(answers(model)), atol=1e-4)


def test_maps_of_a_part_are_not_laid_over_the_whole(either):
    layers = either.layers
    for crop in (layers.CenterCrop(16, 16), layers.Cropping2D(8), layers.RandomCrop(16, 16),
                 layers.Resizing(16, 16, crop_to_aspect_ratio=True)):
        with pytest.raises(ValueError, match="crops or pads its pictures"):
            localization.from_keras(either.Sequential([either.Input((32, 32, 3)), layers.RandomFlip(), crop, layers.Conv2D(4, 3),
                                                       layers.GlobalAveragePooling2D(), layers.Dense(3)]), list("abc"), PLAIN)


def test_advice_runs_where_nothing_is_known_of_pixels(either):
    for shape in ((32, 32, 3), (None, None, 3)):
        pixels = either.Input(shape)
        model = either.Model(pixels, either.layers.Dense(3)(either.layers.GlobalAveragePooling2D()(convolved(either, pixels))))
        with pytest.raises(ValueError, match=r"preprocessing=cam_base\.Preprocessing\(size=(32|224), scale=1, mean=") as caught:
            localization.from_keras(model, list("abc"))
        assert len(localization.from_keras(model, list("abc"), advised(caught.value))(PICTURE)) == 3


# ---------------------------------------------------------------- names

@pytest.mark.parametrize("classes", [
    {"dog": 1, "cat": 0, "bird": 2}, {1: "dog", 2: "bird", 0: "cat"}, {"1": "dog", "2": "bird", "0": "cat"},
    {"dog": np.int64(1), "cat": np.int64(0), "bird": np.int64(2)}, np.array(["cat", "dog", "bird"]),
    np.array(["cat", "dog", "bird"], object), ("cat", "dog", "bird"), [(None, "cat"), (None, "dog"), ("n01503061", "bird")]])
def test_classes_in_every_form_that_has_an_order(classes):
    assert [one.label for one in localization.from_keras(small_three(), classes).classes] == ["cat", "dog", "bird"]


@pytest.mark.parametrize("classes, words", [
    ({"dog": 1, "cat": 3, "bird": 2}, "dictionary of 3"), ({"cat", "dog", "bird"}, "is a set"), ("cat", "is a str"),
    ([0, 1, 2], "class 0 is 0"),
    (np.arange(3), "class 0 is 0"), ([b"cat", b"dog", b"bird"], "class 0 is b'cat'"), (["cat", None, "bird"], "class 1 is None"),
    (np.array("cat"), "is a str"), ({0: "cat", 1: 2, 2: "bird"}, "dictionary of 3")])
def test_classes_without_an_order_or_a_name_are_refused(classes, words):
    with pytest.raises(ValueError, match=words):
        localization.from_keras(small_three(), classes)


def small_three():
    return ended(keras)


# ---------------------------------------------------------------- whole numbers

@pytest.mark.parametrize("units, activation", [(3, "softmax"), (5, None), (1, None), (3, "sigmoid")])
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_a_quantized_models_kernel_is_taken_as_it_is_multiplied(mode, units, activation):
    model = ended(keras, units=units, activation=activation, bias_initializer="random_normal")
    kernel, bias = map(np.asarray, model.layers[-1].get_weights())
    model.quantize(mode)
    assert mode == "float8" or model.layers[-1].kernel.dtype == "int8"
    localizer = localization.from_keras(model)
    exact = keras.Model(model.inputs, model.layers[-3].output)(PICTURE[None].astype(np.float32))
    logits = np.asarray(exact).mean((1, 2))[0] @ kernel + bias
    wanted = tf.nn.softmax(logits) if activation != "sigmoid" and units > 1 else tf.sigmoid(logits)
    found = probabilities(localizer)
    np.testing.assert_allclose(found[1:] if units == 1 else found, wanted, atol=0.1 if mode == "int4" else 0.01)
    class_map = localizer(PICTURE, classes=[1])[0].class_map * (2 if units == 1 else 1)
    wanted = (np.asarray(exact) @ kernel)[0, ..., min(1, units - 1)]
    np.testing.assert_allclose(class_map, wanted, atol=0.6 if mode == "int4" else 0.1)
