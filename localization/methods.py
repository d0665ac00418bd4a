"""Methods that turn a network's intermediates into class maps.

A method is a function

    method(network, named, classes) -> tensor [N, k, h, w], float32, unscaled

network  has head.kernel [C, K], the weights of its last linear layer
named    the network's intermediates by name; "features" is what is pooled, [N, h, w, C]
classes  int32 [N, k]

It may say in `needs` which of the intermediates it takes: the others are then freed while the network runs, and memory
is for one batch's features, not for all that a network makes. It stands in METHODS under the name by which `--method` and `localizer(..., method=...)` know it.
"""

import ops


def cam(network, named, classes):
    """Class activation maps: equation 2 of the paper."""
    return ops.class_activation_maps(named["features"], network.head.kernel, classes)


cam.needs = ("features",)


METHODS = {"cam": cam}
