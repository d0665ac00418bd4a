"""EfficientNet-Lite: the publication's table, dilation that keeps the weights' meaning, dropout."""

import numpy as np
import pytest
import tensorflow as tf

import nets
from nets.tables import lite_stages

from small_networks import pictures, randomise, small_network


def lite(variant=0, output_stride=32):
    return nets.build({"name": "efficientnet-lite", "variant": variant, "output_stride": output_stride}, 3)


@pytest.mark.parametrize("variant, widths, blocks", [
    (0, (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    (1, (16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    (2, (16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1))])
def test_stages_are_as_wide_and_deep_as_published(variant, widths, blocks):
    stages = list(lite_stages(variant))
    assert tuple(stage.width for stage in stages) == widths and tuple(stage.blocks for stage in stages) == blocks
    assert tuple(stage.kernel for stage in stages) == (3, 3, 5, 3, 5, 5, 3)
    assert tuple(stage.stride for stage in stages) == (1, 2, 2, 2, 1, 2, 1)
    assert tuple(stage.expansion for stage in stages) == (1, 6, 6, 6, 6, 6, 6)


@pytest.mark.parametrize("variant, parameters", [(0, 4_652_008), (1, 5_416_680), (2, 6_092_072)])
def test_parameters_are_as_many_as_in_pytorch(variant, parameters):
    net = nets.build({"name": "efficientnet-lite", "variant": variant}, 1000)
    assert sum(np.prod(variable.shape) for variable in net.trainable_variables) == parameters


def between(size, kernels):
    """Where, along an axis of the finer map, the first position of the map lies that strides of 2 would leave."""
    first, step = 0, 1
    for kernel in kernels:
        if size % 2 == 0:  # TensorFlow's window begins one further to the right
            first += step
        step, size = 2 * step, -(-size // 2)
    return first, step


@pytest.mark.slow
@pytest.mark.parametrize("side", [64, 97, 126, 200])
@pytest.mark.parametrize("output_stride", [16, 8])
def test_finer_maps_hold_the_coarse_map_between_their_positions(output_stride, side):
    """With the same weights, at the border too: a dilated kernel reaches as far into the zeros."""
    coarse, fine = lite(), lite(output_stride=output_stride)
    randomise(coarse)
    assert nets.assign(fine, {path: variable.numpy() for path, variable in nets.named_variables(coarse).items()}) == []
    x = tf.constant(np.random.default_rng(0).normal(size=(1, side, side, 3)), tf.float32)
    wanted, found = (net(x)[1]["features"].numpy() for net in (coarse, fine))
    side_of_map = -(-side // output_stride)
    assert found.shape[1:3] == (side_of_map, side_of_map)
    first, step = between(side_of_map, (5,) if output_stride == 16 else (3, 5))
    held = found[:, first::step, first::step]
    assert held.shape == wanted.shape and wanted.std() > 0.1
    np.testing.assert_allclose(held, wanted, atol=1e-5 * wanted.max(), rtol=1e-4)
    # So says the grid, too.
    (fine_first, fine_step), (coarse_first, coarse_step) = fine.grid(side), coarse.grid(side)
    assert (fine_first + first * fine_step, step * fine_step) == (coarse_first, coarse_step)


@pytest.mark.parametrize("size, first", [(224, 31.5), (225, 0.5), (240, 15.5), (260, 3.5)])
def test_the_grid_depends_on_the_size(size, first):
    """224 is even five times over: 0.5 + 1 + 2 + 4 + 8 + 16. 260 is even twice, then 65, 33, 17 and 9 are odd."""
    assert lite().grid(size) == (first, 32)


def test_named_intermediates_have_the_publications_sizes():
    _, named = lite()(tf.zeros([1, 224, 160, 3]))
    assert {name: tuple(value.shape) for name, value in named.items()} == {
        "stem": (1, 112, 80, 32), "stage1": (1, 112, 80, 16), "stage2": (1, 56, 40, 24), "stage3": (1, 28, 20, 40),
        "stage4": (1, 14, 10, 80), "stage5": (1, 14, 10, 112), "stage6": (1, 7, 5, 192), "stage7": (1, 7, 5, 320),
        "features": (1, 7, 5, 1280), "pooled": (1, 1280)}


def test_variables_are_the_same_for_all_strides():
    wanted, found = ({path: tuple(variable.shape) for path, variable in nets.named_variables(lite(2, stride)).items()}
                     for stride in (32, 8))
    assert found == wanted
    assert wanted["stages/2/1/depthwise/kernel"] == (5, 5, 288, 1) and "stages/0/0/expand/kernel" not in wanted
    assert wanted["stages/6/0/project_norm/variance"] == (352,) and wanted["top/kernel"] == (1, 1, 352, 1280)


def test_a_fifth_of_the_pooled_units_is_dropped_only_in_training():
    net, x = small_network("efficientnet-lite0"), pictures("efficientnet-lite0")
    net.head.kernel, net.head.bias = tf.eye(1280), tf.zeros(1280)
    logits, named = net(x)
    np.testing.assert_array_equal(logits, named["pooled"])
    logits, named = net(x, training=True)
    pooled, kept = named["pooled"].numpy(), logits.numpy() != 0
    np.testing.assert_allclose(logits.numpy()[kept], pooled[kept] / 0.8, rtol=1e-6)
    alive = pooled > 0
    assert alive.sum() > 1000 and abs(kept[alive].mean() - 0.8) < 4 * 0.4 / np.sqrt(alive.sum())
    np.testing.assert_array_equal(net.behind_frozen(named["pooled"]), named["pooled"])


@pytest.mark.parametrize("arguments, message", [
    ({"variant": 3}, "variant is 3; known are 0, 1 and 2"), ({"variant": "0"}, "variant is '0'"),
    ({"variant": 1.0}, "does not take these arguments"), ({"output_stride": 4}, "output_stride is 4; it must be 32, 16 or 8")])
def test_arguments_that_are_not_known_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        nets.build({"name": "efficientnet-lite"} | arguments, 3)
