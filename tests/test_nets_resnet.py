"""ResNet: strides and dilations keep published weights' meaning; sizes are the publication's."""

import numpy as np
import pytest
import tensorflow as tf

import nets
from nets.tables import BASIC_BLOCKS, RESNET_BLOCKS

from small_networks import randomise


def resnet(output_stride=32, **options):
    return nets.build({"name": "resnet", "depth": 26, "width": 4, "output_stride": output_stride} | options, 3)


@pytest.mark.slow
@pytest.mark.parametrize("side", [64, 97])
@pytest.mark.parametrize("stride_on", ["3x3", "1x1"])
@pytest.mark.parametrize("depth", [26, 50])
def test_finer_maps_hold_the_coarse_map_between_their_positions(depth, stride_on, side):
    """Every 2nd (4th) position of the map of stride 16 (8) is the map of stride 32.

    With the same weights, at the border too: a dilated kernel reaches as far into the zeros.
    """
    coarse = resnet(depth=depth, stride_on=stride_on)
    randomise(coarse)
    tensors = {path: variable.numpy() for path, variable in nets.named_variables(coarse).items()}
    x = tf.constant(np.random.default_rng(0).normal(size=(1, side, side, 3)), tf.float32)
    _, wanted = coarse(x)
    for output_stride in (16, 8):
        fine = resnet(output_stride, depth=depth, stride_on=stride_on)
        assert nets.assign(fine, tensors) == []
        _, found = fine(x)
        assert found["features"].shape[1] == -(-side // output_stride)
        for stage, stride in (("stage3", 16), ("stage4", 32)):
            step = max(1, stride // output_stride)
            largest = np.abs(wanted[stage]).max()
            np.testing.assert_allclose(found[stage][:, ::step, ::step], wanted[stage], atol=1e-5 * largest, rtol=1e-4)


@pytest.mark.parametrize("stem, natural", [("3x3/2", 16), ("3x3/1", 8)])
def test_small_stems_keep_the_meaning_too(stem, natural):
    coarse, fine = (resnet(stride, stem=stem) for stride in (natural, natural // 4))
    for net in (coarse, fine):
        randomise(net)
    x = tf.constant(np.random.default_rng(0).normal(size=(1, 32, 32, 3)), tf.float32)
    wanted, found = (net(x)[1]["features"] for net in (coarse, fine))
    assert wanted.shape[1] == 32 // natural and found.shape[1] == 4 * 32 // natural
    np.testing.assert_allclose(found[:, ::4, ::4], wanted, atol=1e-5 * np.abs(wanted).max(), rtol=1e-4)


@pytest.mark.parametrize("output_stride, strides, dilations", [
    (32, (1, 2, 2, 2), ((1, 1), (1, 1), (1, 1), (1, 1))),
    (16, (1, 2, 2, 1), ((1, 1), (1, 1), (1, 1), (1, 2))),
    (8, (1, 2, 1, 1), ((1, 1), (1, 1), (1, 2), (2, 4)))])
def test_dilations_are_torchvisions(output_stride, strides, dilations):
    """torchvision.models.resnet, replace_stride_with_dilation: a stage's first block has the dilation before it."""
    stages = resnet(output_stride).stages
    assert tuple(stage[0].conv2.stride for stage in stages) == strides
    assert tuple((stage[0].conv2.dilation, stage[1].conv2.dilation) for stage in stages) == dilations
    assert all(block.conv1.stride == block.conv3.stride == 1 for stage in stages for block in stage)


def test_v1_strides_on_the_first_1x1():
    stages = resnet(stride_on="1x1").stages
    assert [stage[0].conv1.stride for stage in stages] == [1, 2, 2, 2]
    assert all(block.conv2.stride == 1 for stage in stages for block in stage)
    assert [stage[0].project.stride for stage in stages] == [1, 2, 2, 2]
    assert all(block.project is None for stage in stages for block in stage[1:])


@pytest.mark.parametrize("options", [{"output_stride": 16}, {"output_stride": 8}, {"stride_on": "1x1"},
                                     {"stride_on": "1x1", "output_stride": 8}])
def test_variables_are_the_same_for_all_strides(options):
    wanted, found = ({path: tuple(variable.shape) for path, variable in nets.named_variables(net).items()}
                     for net in (resnet(), resnet(**options)))
    assert found == wanted
    assert wanted["stages/0/1/conv2/kernel"] == (3, 3, 4, 4)
    assert wanted["stages/3/0/project_norm/variance"] == (128,)
    assert wanted["head/kernel"] == (128, 3)


@pytest.mark.parametrize("depth, widen, parameters", [
    (18, 1, 11_689_512), (34, 1, 21_797_672), (50, 1, 25_557_032), (50, 2, 68_883_240)])
def test_there_are_as_many_parameters_as_in_torchvisions(depth, widen, parameters):
    """As torchvision's documentation gives them for resnet18, resnet34, resnet50 and wide_resnet50_2."""
    net = nets.build({"name": "resnet", "depth": depth, "widen": widen}, 1000, seed=None)
    assert sum(np.prod(variable.shape) for variable in net.trainable_variables) == parameters


@pytest.mark.parametrize("depth", [*RESNET_BLOCKS, *BASIC_BLOCKS])
def test_depth_counts_the_layers(depth):
    """The stem, three convolutions in each block, two in a basic one, and the linear layer; projections do not count."""
    net = nets.build({"name": "resnet", "depth": depth, "width": 1}, 3)
    kernels = [path for path in nets.named_variables(net) if path.endswith("kernel") and "project" not in path]
    assert len(kernels) == depth


def test_a_block_begins_as_the_identity():
    block = resnet().stages[1][1]
    x = tf.constant(np.abs(np.random.default_rng(0).normal(size=(1, 4, 4, 32))), tf.float32)
    np.testing.assert_array_equal(block(x, False), x)
    np.testing.assert_array_equal(block(x, True), x)


def test_named_intermediates_have_the_publications_sizes():
    """He et al., table 1, at a quarter of its size; stem and stages divide it by 4, 4, 8, 16 and 32."""
    _, named = resnet()(tf.zeros([1, 64, 96, 3]))
    assert {name: tuple(value.shape) for name, value in named.items()} == {
        "stem": (1, 16, 24, 4), "stage1": (1, 16, 24, 16), "stage2": (1, 8, 12, 32), "stage3": (1, 4, 6, 64),
        "stage4": (1, 2, 3, 128), "features": (1, 2, 3, 128), "pooled": (1, 128)}


@pytest.mark.parametrize("name, arguments", [("resnet", {"depth": 18, "width": 8, "stem": "3x3/1", "output_stride": 8}), ("alexnet", {})])
def test_pooling_by_the_maximum_is_of_the_same_features(name, arguments):
    pictures = tf.random.stateless_normal([2, 67, 67, 3], [1, 2])
    for pooling, pool in (("average", np.mean), ("max", np.max)):
        net = nets.build({"name": name, "pooling": pooling} | arguments, 3)
        logits, named = net(pictures)
        pooled = pool(named["features"].numpy(), axis=(1, 2))
        np.testing.assert_allclose(named["pooled"], pooled, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(logits, pooled @ net.head.kernel.numpy() + net.head.bias.numpy(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="known are average, max"):
        nets.build({"name": name, "pooling": "median"} | arguments, 3)
