"""Small networks of every kind, for the tests that each of them must pass. A new one is a new line here."""

import numpy as np
import tensorflow as tf

import nets

CLASSES = 5
# name: (configuration, side of the input, side of its map)
NETWORKS = {
    "resnet v1.5, 7x7 stem": ({"name": "resnet", "depth": 26, "width": 4}, 64, 2),
    "resnet v1.5, stride 16": ({"name": "resnet", "depth": 26, "width": 4, "output_stride": 16}, 64, 4),
    "resnet v1, stride 8": ({"name": "resnet", "depth": 26, "width": 4, "stride_on": "1x1",
                             "output_stride": 8, "epsilon": 1.001e-5}, 40, 5),
    "resnet, 3x3/2 stem": ({"name": "resnet", "depth": 26, "width": 4, "stem": "3x3/2", "output_stride": 8}, 32, 4),
    "resnet, 3x3/1 stem": ({"name": "resnet", "depth": 26, "width": 4, "stem": "3x3/1", "output_stride": 4}, 16, 4),
    "resnet of basic blocks": ({"name": "resnet", "depth": 18, "width": 8}, 64, 2),
    "resnet of basic blocks, stride 8": ({"name": "resnet", "depth": 18, "width": 4, "output_stride": 8}, 40, 5),
    "wide resnet": ({"name": "resnet", "depth": 26, "width": 4, "widen": 2}, 64, 2),
    "efficientnet-lite0": ({"name": "efficientnet-lite"}, 64, 2),
    "efficientnet-lite2, stride 8": ({"name": "efficientnet-lite", "variant": 2, "output_stride": 8}, 40, 5),
    "alexnet gap": ({"name": "alexnet", "head": "gap"}, 227, 13),
    "alexnet star": ({"name": "alexnet", "head": "star"}, 227, 11),
}
# One of each family at once; the others are among the slow tests.
FAST = ("resnet v1.5, 7x7 stem", "resnet, 3x3/2 stem", "efficientnet-lite0", "alexnet gap")


def small_network(name, seed=0):
    """The network in which no variable has the value that it begins with."""
    net = nets.build(NETWORKS[name][0], CLASSES, seed=seed)
    randomise(net)
    return net


def randomise(net):
    """Give every variable but the convolutions' kernels a value that shows when it is forgotten."""
    rng = np.random.default_rng(7)
    draw = {"gamma": lambda shape: rng.uniform(0.5, 1.2, shape), "beta": lambda shape: rng.normal(0, 0.2, shape),
            "mean": lambda shape: rng.normal(0, 0.2, shape), "variance": lambda shape: rng.uniform(0.5, 2, shape),
            "bias": lambda shape: rng.normal(0, 0.2, shape)}
    for path, variable in nets.named_variables(net).items():
        kind = path.split("/")[-1]
        if kind in draw:
            variable.assign(draw[kind](variable.shape))
    net.head.kernel.assign(rng.normal(0, 0.3, net.head.kernel.shape))


def pictures(name, count=2):
    """Prepared pictures as this network takes them, float32 [count, side, side, 3]."""
    side = NETWORKS[name][1]
    return tf.constant(np.random.default_rng(1).normal(size=(count, side, side, 3)), tf.float32)
