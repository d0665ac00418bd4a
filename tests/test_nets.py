"""What every network must do, whatever it is made of; `small_networks.NETWORKS` lists them."""

import numpy as np
import pytest
import tensorflow as tf

import nets
from cam_base import Preprocessing
from ops import class_activation_maps

from small_networks import CLASSES, FAST, NETWORKS, pictures, small_network

every_network = pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST)) for name in NETWORKS])
every_dtype = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])


def values(net):
    return {path: variable.numpy() for path, variable in nets.named_variables(net).items()}


# ---------------------------------------------------------------- what the paper rests on

@every_dtype
@every_network
def test_mean_of_the_class_maps_plus_bias_is_the_logits(name, dtype):
    net = small_network(name)
    logits, named = net(tf.cast(pictures(name), dtype))
    side = NETWORKS[name][2]
    assert named["features"].dtype == dtype and named["features"].shape[:3] == (2, side, side)
    assert logits.dtype == named["pooled"].dtype == tf.float32 and logits.shape == (2, CLASSES)
    maps = class_activation_maps(named["features"], net.head.kernel)
    assert np.std(maps) > 1e-3  # else the identity would say nothing
    np.testing.assert_allclose(logits, np.mean(maps, axis=(2, 3)) + net.head.bias.numpy(), rtol=1e-4, atol=1e-4)


@every_network
def test_bfloat16_is_float32_but_for_rounding(name):
    net = small_network(name)
    exact, rounded = (net(tf.cast(pictures(name), dtype))[0].numpy() for dtype in ("float32", "bfloat16"))
    assert np.abs(exact - rounded).max() < 0.1 * np.abs(exact).max()


@every_dtype
@every_network
def test_the_layers_behind_what_transfer_freezes_give_the_logits(name, dtype):
    net = small_network(name)
    logits, named = net(tf.cast(pictures(name), dtype))
    frozen = tf.cast(named[net.frozen], dtype)
    np.testing.assert_allclose(net.behind_frozen(frozen), logits, atol=1e-2 * np.abs(logits).max(), rtol=0)
    assert np.isfinite(net.behind_frozen(frozen, training=True)).all()


# ---------------------------------------------------------------- where the map's cells lie

@pytest.mark.parametrize("axis, sides", [(1, (1501, 1504)), (2, (1502, 1536))])
@every_network
def test_a_cell_lies_in_the_middle_of_the_pixels_that_it_sees(name, axis, sides, monkeypatch):
    """Without ReLU and maximum, the gradient of a cell is nowhere 0 among the pixels that it sees.

    Pictures are odd or divisible by 2, 32 and 512, and one cell wide: as long as EfficientNet-Lite2 needs, whose
    cells see 1,200 pixels, and as quick as small ones.
    """
    monkeypatch.setattr(tf.nn, "relu", tf.identity)
    monkeypatch.setattr(tf.nn, "relu6", tf.identity)
    monkeypatch.setattr(tf.nn, "max_pool2d", tf.nn.avg_pool2d)
    net = small_network(name)
    for side in sides:
        shape = [1, net.smallest, net.smallest, 3]
        shape[axis] = side
        picture = tf.constant(np.random.default_rng(2).normal(size=shape), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(picture)
            features = net(picture)[1]["features"]
            cell = features.shape[axis] // 2 - 1
            seen = tf.reduce_sum(tf.gather(features, cell, axis=axis))
        gradient = tape.gradient(seen, picture).numpy()
        pixels = np.flatnonzero(gradient.any(axis=tuple({0, 1, 2, 3} - {axis})))
        assert 0 < pixels[0] and pixels[-1] < side - 1
        first, step = net.grid(side)
        assert (pixels[0] + pixels[-1] + 1) / 2 == first + step * cell


# ---------------------------------------------------------------- training and inference

@every_network
def test_only_training_moves_the_moving_statistics_and_nothing_else(name):
    net = small_network(name)
    before = values(net)
    net(pictures(name))
    for path, value in values(net).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
    net(pictures(name), training=True)
    for path, value in values(net).items():
        moving = path.endswith(("/mean", "/variance"))
        assert np.array_equal(value, before[path]) != moving, path


@every_dtype
@every_network
def test_every_trainable_variable_has_a_gradient(name, dtype):
    net = small_network(name)
    with tf.GradientTape() as tape:
        logits, _ = net(tf.cast(pictures(name), dtype), training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits([0, 1], logits))
    paths = {variable.ref(): path for path, variable in nets.named_variables(net).items()}
    for variable, gradient in zip(net.trainable_variables, tape.gradient(loss, net.trainable_variables)):
        path = paths[variable.ref()]
        assert gradient is not None and gradient.dtype == tf.float32, path
        assert np.isfinite(gradient).all() and np.any(gradient), path


# ---------------------------------------------------------------- variables

@every_network
def test_every_variable_has_one_path(name):
    net = nets.build(NETWORKS[name][0], CLASSES)
    named = nets.named_variables(net)
    assert {variable.ref() for variable in named.values()} == {variable.ref() for variable in net.variables}
    assert len(named) == len(net.variables)
    assert {"head/kernel", "head/bias"} <= set(named)
    assert [path for path in named if nets.is_head(net, path)] != list(named)


@every_network
def test_a_seed_decides_every_weight(name):
    config = NETWORKS[name][0]
    first, again, other = (values(nets.build(config, CLASSES, seed=seed)) for seed in (3, 3, 4))
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path])
        assert path.endswith("kernel") != np.array_equal(value, other[path]), path


@every_network
def test_a_checkpoint_brings_back_the_same_network(name, tmp_path):
    net, other = small_network(name), nets.build(NETWORKS[name][0], CLASSES, seed=1)
    path = tf.train.Checkpoint(net=net).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(net=other).read(path).assert_consumed()
    np.testing.assert_array_equal(other(pictures(name))[0], net(pictures(name))[0])


@every_network
def test_assigned_variables_make_the_same_network(name):
    net, other = small_network(name), nets.build(NETWORKS[name][0], CLASSES, seed=1)
    assert nets.assign(other, values(net)) == []
    np.testing.assert_array_equal(other(pictures(name))[0], net(pictures(name))[0])


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "resnet, 3x3/2 stem"))
                                  for name in NETWORKS])
def test_xla_compiles_it(name):
    net = small_network(name)
    compiled = tf.function(lambda x: net(x)[0], jit_compile=True, autograph=False)
    expected = net(pictures(name, 1))[0]
    np.testing.assert_allclose(compiled(pictures(name, 1)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet v1.5, 7x7 stem", "resnet v1, stride 8", "resnet, 3x3/2 stem",
                                  "alexnet gap", "alexnet star", "efficientnet-lite0"])
def test_xla_compiles_its_training(name):
    """As train_loop.py has it on a GPU."""
    net, compiled = small_network(name), small_network(name)

    def gradients(net):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(net(pictures(name), training=True)[0] ** 2)
        return tape.gradient(loss, net.trainable_variables)

    by_xla = tf.function(lambda: gradients(compiled), jit_compile=True, autograph=False)()
    if name in ("alexnet star", "efficientnet-lite0"):  # another rounding is another mask of their dropout
        assert all(np.isfinite(gradient).all() and np.any(gradient) for gradient in by_xla)
        return
    for one, two in zip(gradients(net), by_xla):
        assert np.linalg.norm(one - two) < 0.1 * np.linalg.norm(one)
    for path, value in values(net).items():
        np.testing.assert_allclose(values(compiled)[path], value, rtol=1e-3, atol=1e-4, err_msg=path)


# ---------------------------------------------------------------- assign

@pytest.fixture()
def net():
    return nets.build({"name": "resnet", "depth": 26, "width": 4}, CLASSES)


@pytest.mark.parametrize("change, message", [
    ({"head/bias": None}, r"head/bias is missing, should be \[5\] \(1 of"),
    ({"head/bias": np.ones(6)}, r"head/bias is \[6\], should be \[5\] \(1 of"),
    ({"stem/kernel": np.ones((3, 3, 3, 4))}, r"stem/kernel is \[3, 3, 3, 4\], should be \[7, 7, 3, 4\]"),
    ({"stages/9/0/conv1/kernel": np.ones(2)}, r"stages/9/0/conv1/kernel is \[2\], is not known")])
def test_assign_names_what_does_not_fit_and_changes_nothing(net, change, message):
    before = values(net)
    tensors = {path: value + 1 for path, value in before.items()} | change
    tensors = {path: value for path, value in tensors.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        nets.assign(net, tensors)
    for path, value in values(net).items():
        np.testing.assert_array_equal(value, before[path])


def test_partial_assignment_leaves_a_head_of_other_classes(net):
    tensors = {path: value + 1 for path, value in values(net).items()}
    del tensors["head/bias"]
    tensors |= {"head/kernel": np.ones((128, 1000)), "head/extra": np.ones(3)}
    before = values(net)
    assert nets.assign(net, tensors, partial=True) == ["head/bias", "head/kernel"]
    for path, value in values(net).items():
        np.testing.assert_array_equal(value, before[path] + (not nets.is_head(net, path)))


def test_partial_assignment_still_refuses_other_features(net):
    tensors = values(net)
    del tensors["stages/2/1/norm2/mean"]
    with pytest.raises(ValueError, match="stages/2/1/norm2/mean is missing"):
        nets.assign(net, tensors, partial=True)


def test_float16_tensors_are_assigned_as_float32(net):
    tensors = {path: value.astype(np.float16) for path, value in values(net).items()}
    nets.assign(net, tensors)
    for path, variable in nets.named_variables(net).items():
        assert variable.dtype == tf.float32
        np.testing.assert_array_equal(variable, tensors[path].astype(np.float32))


# ---------------------------------------------------------------- build

@pytest.mark.parametrize("config, message", [
    ({}, "no network is called None; known are alexnet, efficientnet-lite, resnet"),
    ({"name": "vgg"}, "no network is called 'vgg'"),
    ({"name": ["resnet"]}, "no network is called"),
    ({"name": "resnet", "colour": 1}, "resnet does not take these arguments: .*colour"),
    ({"name": "resnet", "seed": 1}, "resnet does not take these arguments: .*seed"),
    ({"name": "resnet", "depth": 33}, "depth is 33; known are 26, 50, 101, 152"),
    ({"name": "resnet", "depth": [26]}, "resnet does not take these arguments"),
    ({"name": "resnet", "stem": "5x5"}, "stem is '5x5'; known are '7x7/4', '3x3/2', '3x3/1'"),
    ({"name": "resnet", "stride_on": "2x2"}, "stride_on is '2x2'; known are '1x1', '3x3'"),
    ({"name": "resnet", "output_stride": 4}, "output_stride is 4; with this stem it must be 32, 16 or 8"),
    ({"name": "resnet", "stem": "3x3/2"}, "output_stride is 32; with this stem it must be 16, 8 or 4"),
    ({"name": "resnet", "width": 0}, "width is 0"),
    ({"name": "resnet", "width": 10**9}, "width is 1000000000; it must be a whole number from 1 to 512"),
    ({"name": "resnet", "epsilon": "small"}, "epsilon is 'small'"),
    ({"name": "alexnet", "head": "fc"}, "head is 'fc'; known are 'gap' and 'star'"),
    ({"name": "alexnet", "conv5_units": 255}, "conv5_units is 255; it must be an even number")])
def test_build_refuses_what_it_does_not_know(config, message):
    with pytest.raises(ValueError, match=message):
        nets.build(config, CLASSES)


# ---------------------------------------------------------------- first outputs

@every_network
def test_weights_whose_outputs_are_not_finite_are_noticed_by_one_small_picture(name):
    preprocessing = Preprocessing(size=NETWORKS[name][1])
    net = small_network(name)
    nets.check_outputs(net, preprocessing)
    for path, variable in nets.named_variables(net).items():
        if path.endswith(("kernel", "gamma")):
            # Of a ResNet, each number is one that a file may have.
            variable.assign(tf.fill(variable.shape, 60_000.0 if name.startswith("resnet") else 1e25))
    with pytest.raises(ValueError, match=r"what it computes \(\w+\) is not finite: the weights are damaged$"):
        nets.check_outputs(net, preprocessing)


def test_the_first_intermediate_that_is_not_finite_is_named():
    net = small_network("alexnet gap")
    net.conv3.bias.assign(tf.fill([384], np.nan))
    with pytest.raises(ValueError, match=r"what it computes \(conv3\) is not finite"):
        nets.check_outputs(net, Preprocessing(size=227))
