"""AlexNet: the sizes, the parameters and the dropout of its two published heads."""

import numpy as np
import pytest
import tensorflow as tf

import nets

from small_networks import pictures, small_network

# BVLC AlexNet, by hand: size^2 x channels of the group x units + biases.
CONV1_TO_4 = (11 * 11 * 3 * 96 + 96) + (5 * 5 * 48 * 256 + 256) + (3 * 3 * 256 * 384 + 384) + (
    3 * 3 * 192 * 384 + 384)
CONV5_256, CONV5_384 = 3 * 3 * 192 * 256 + 256, 3 * 3 * 192 * 384 + 384


def shapes(named):
    return {name: tuple(value.shape) for name, value in named.items()}


def test_gap_head_sees_a_map_of_13_by_13():
    logits, named = nets.build({"name": "alexnet", "head": "gap"}, 1000)(tf.zeros([2, 227, 227, 3]))
    assert logits.shape == (2, 1000)
    assert shapes(named) == {
        "conv1": (2, 55, 55, 96), "conv2": (2, 27, 27, 256), "conv3": (2, 13, 13, 384), "conv4": (2, 13, 13, 384),
        "conv5": (2, 13, 13, 256), "conv6": (2, 13, 13, 1024), "features": (2, 13, 13, 1024), "pooled": (2, 1024)}


@pytest.mark.parametrize("conv5_units", [256, 384])
def test_star_head_sees_a_map_of_11_by_11(conv5_units):
    net = nets.build({"name": "alexnet", "head": "star", "conv5_units": conv5_units}, 1000)
    _, named = net(tf.zeros([2, 227, 227, 3]))
    assert shapes(named) == {
        "conv1": (2, 55, 55, 96), "conv2": (2, 27, 27, 256), "conv3": (2, 13, 13, 384), "conv4": (2, 13, 13, 384),
        "conv5": (2, 13, 13, conv5_units), "conv6": (2, 11, 11, 512), "conv7": (2, 11, 11, 512),
        "features": (2, 11, 11, 512), "pooled": (2, 512)}


@pytest.mark.parametrize("config, parameters", [
    ({"head": "gap"}, CONV1_TO_4 + CONV5_256 + (3 * 3 * 256 * 1024 + 1024) + (1024 * 1000 + 1000)),
    ({"head": "star"},
     CONV1_TO_4 + CONV5_256 + (3 * 3 * 128 * 512 + 512) + (3 * 3 * 256 * 512 + 512) + (512 * 1000 + 1000)),
    ({"head": "star", "conv5_units": 384},
     CONV1_TO_4 + CONV5_384 + (3 * 3 * 192 * 512 + 512) + (3 * 3 * 256 * 512 + 512) + (512 * 1000 + 1000))])
def test_parameters_are_as_many_as_by_hand(config, parameters):
    net = nets.build({"name": "alexnet"} | config, 1000)
    assert sum(np.prod(variable.shape) for variable in net.trainable_variables) == parameters


def test_paths_are_the_layers_names():
    net = nets.build({"name": "alexnet", "head": "star"}, 10)
    layers = [f"conv{number}" for number in range(1, 8)] + ["head"]
    assert set(nets.named_variables(net)) == {f"{layer}/{part}" for layer in layers for part in ("kernel", "bias")}
    assert {path.split("/")[0] for path in nets.named_variables(net) if nets.is_head(net, path)} == {
        "conv6", "conv7", "head"}


def show_the_pooled_units(net):
    """Let its logits be what the linear layer is given."""
    net.head.kernel, net.head.bias = tf.eye(512), tf.zeros(512)


def kept_units(net, x):
    """Which of the pooled units that are not zero the dropout kept, bool [N, 512], and which are not zero."""
    logits, named = net(x, training=True)
    pooled, kept = named["pooled"].numpy(), logits.numpy() != 0
    np.testing.assert_allclose(logits.numpy()[kept], 2 * pooled[kept], rtol=1e-6)
    return kept, pooled > 0


def test_star_drops_half_of_the_pooled_units_only_in_training():
    net, x = small_network("alexnet star"), pictures("alexnet star")
    show_the_pooled_units(net)
    logits, named = net(x)
    np.testing.assert_array_equal(logits, named["pooled"])
    kept, alive = kept_units(net, x)
    assert alive.sum() > 300
    assert abs(kept[alive].mean() - 0.5) < 4 * 0.5 / np.sqrt(alive.sum())
    both = alive.all(0)
    assert not np.array_equal(kept[0, both], kept[1, both])


def test_stars_dropout_is_the_same_for_the_same_batch_and_another_for_another():
    """So a training that is resumed draws the masks that it would have drawn."""
    net, x = small_network("alexnet star"), pictures("alexnet star")
    show_the_pooled_units(net)
    first, again, other = (kept_units(net, batch)[0] for batch in (x, x, x[:, ::-1]))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_gap_head_drops_nothing():
    net = small_network("alexnet gap")
    x = pictures("alexnet gap")
    np.testing.assert_array_equal(net(x, training=True)[0], net(x)[0])
