"""Networks from their configurations, and their variables by name."""

import numpy as np

from ops.quiet_tensorflow import tf
from .alexnet import AlexNet
from .efficientnet import EfficientNetLite
from .resnet import ResNet

SMALL = 32  # side in pixels of the picture that is tried; a ResNet leaves one cell of it
# By `tables.NAMES`. Each says in front of which of its intermediates transfer stops (frozen), which of its layers lie
# behind the features that are published (head_layers), and how it is trained from nothing: its arguments, which are
# all that a user may choose (defaults), and the side of its input (usual_size, a function of these arguments).
NETWORKS = {"alexnet": AlexNet, "efficientnet-lite": EfficientNetLite, "resnet": ResNet}


def class_of(config):
    """The class of a network from its configuration. ValueError for a name that is not known."""
    name = config.get("name")
    if not isinstance(name, str) or name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; known are {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name]


def build(config, classes, seed=0):
    """A network from its configuration, with random weights; with the seed None they are zeros, to be assigned.

    config: {"name": one of `nets.NAMES`, and the arguments of its class}.
    Raises ValueError for a name or an argument that is not known.
    """
    network = class_of(config)
    arguments = {name: value for name, value in config.items() if name != "name"}
    try:
        return network(classes, seed=seed, **arguments)
    except TypeError as error:
        raise ValueError(f"{config['name']} does not take these arguments: {error}") from None


def check_size(net, size):
    """ValueError unless pictures of `size` pixels leave a map with at least one cell."""
    if size < net.smallest:
        raise ValueError(f"{net.name} needs pictures of at least {net.smallest} pixels, not {size}")


def check_outputs(net, preprocessing):
    """ValueError unless the logits and all named intermediates of one small picture of noise are finite.

    Each number of a weights file may be believable and all together overflow:
    ask this once, before many pictures are seen. It takes a fraction of a second.

    preprocessing  the weights' cam_base.Preprocessing, which says how dark and bright their pictures are
    """
    side = max(net.smallest, SMALL)
    noise = np.random.default_rng(0).uniform(0, 255, (1, side, side, 3)) * preprocessing.scale
    logits, named = net(tf.constant((noise - preprocessing.mean) / preprocessing.deviation, tf.float32))
    for what, values in (named | {"logits": logits}).items():
        if not np.isfinite(values).all():
            raise ValueError(f"what it computes ({what}) is not finite: the weights are damaged")


def named_variables(net):
    """{"stages/0/1/conv2/kernel": variable}: every variable under its path in the network."""
    pairs = net._flatten(predicate=_is_variable, with_path=True)
    return {"/".join(map(str, path)): variable for path, variable in pairs}


def _is_variable(value):
    return hasattr(value, "assign") and hasattr(value, "trainable")


def assign(net, tensors, partial=False):
    """Set the network's variables from {path: array}; return the paths that were left as they are.

    Names and shapes must match exactly; with `partial`, layers behind the
    features may be missing, extra, or of another shape. Nothing is assigned
    unless everything fits. Raises ValueError naming what does not.
    """
    variables = named_variables(net)
    fitting = {name for name in variables
               if name in tensors and tuple(variables[name].shape) == np.shape(tensors[name])}
    wrong = sorted((set(variables) | set(tensors)) - fitting)
    if partial:
        wrong = [name for name in wrong if not is_head(net, name)]
    if wrong:
        name = wrong[0]
        found = f"is {list(np.shape(tensors[name]))}" if name in tensors else "is missing"
        wanted = f"should be {list(variables[name].shape)}" if name in variables else "is not known"
        raise ValueError(f"{name} {found}, {wanted} ({len(wrong)} of {len(variables)} variables "
                         "do not fit: the weights are of another network)")
    for name in fitting:
        variables[name].assign(np.asarray(tensors[name], np.float32))
    return sorted(set(variables) - fitting)


def is_head(net, name):
    """Whether a path in the network (or of its class) lies behind the published features: what transfer trains anew."""
    return name.split("/")[0] in net.head_layers
