"""A network of one logit, as one of two."""

from ops.quiet_tensorflow import tf


class OneLogit:
    """A network whose logit z becomes -z/2 and z/2: the softmax of the two is the sigmoid of z and what is left to 1.

    The map of the class that it speaks against is the other's with its sign turned.
    """

    def __init__(self, network):
        self.network = network
        self.head = self

    @property
    def kernel(self):
        return _two(tf.convert_to_tensor(self.network.head.kernel))

    def __call__(self, pictures):
        logits, named = self.network(pictures)
        return _two(logits), named

    def __getattr__(self, name):  # what else a network may say, such as `grid`
        return getattr(self.network, name)


def _two(ones):
    """[..., 1] to [..., 2]."""
    return tf.concat([-ones / 2, ones / 2], -1)
