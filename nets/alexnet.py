"""AlexNet's convolutions with the heads of Zhou et al. (CVPR 2016), for class activation maps."""

from ops.quiet_tensorflow import tf
from .layers import Conv, Linear, dropout, initial_numbers, local_response_norm, pooling_of


class AlexNet(tf.Module):
    """conv1-conv5 as BVLC/Caffe defines them, then one of the two published heads.

    classes      number of classes
    head         "gap": one 3x3 convolution of 1024 units on the 13x13 map
                 (AlexNet-GAP, section 3.1 of the publication);
                 "star": AlexNet*-GAP as its authors released it: a 3x3 max-pool of
                 stride 1 (13 to 11), conv6 and conv7 of 512 units in 2 groups,
                 and dropout of 0.5 behind the pooling
    conv5_units  256 as in the Toronto weights; the authors' AlexNet*-GAP has 384
    pooling      "average", or "max" to compare with

    The input has 227x227 pixels. There are no fully connected layers and no
    max-pool behind conv5: the map keeps its resolution.
    """

    frozen = "conv5"  # the intermediate behind which transfer trains anew
    head_layers = ("conv6", "conv7", "head")
    defaults = {"head": "gap", "pooling": "average"}

    def __init__(self, classes, *, head="gap", conv5_units=256, pooling="average", seed=0):
        super().__init__(name="alexnet")
        if head not in ("gap", "star"):
            raise ValueError(f"head is {head!r}; known are 'gap' and 'star'")
        if not isinstance(conv5_units, int) or not 2 <= conv5_units <= 4096 or conv5_units % 2:
            raise ValueError(f"conv5_units is {conv5_units!r}; it must be an even number from 2 to 4096")
        self.pool = pooling_of(pooling)
        rng = initial_numbers(seed)

        def conv(*shape, groups=1, **options):
            return Conv(*shape, rng=rng, groups=groups, bias=True, **options)

        self.conv1 = conv(3, 96, 11, stride=4, padding="VALID")
        self.conv2 = conv(96, 256, 5, groups=2)
        self.conv3 = conv(256, 384, 3)
        self.conv4 = conv(384, 384, 3, groups=2)
        self.conv5 = conv(384, conv5_units, 3, groups=2)
        self.star = head == "star"
        self.smallest = 67 if self.star else 35  # side of a picture that leaves one cell
        if self.star:
            self.conv6 = conv(conv5_units, 512, 3, groups=2)
            self.conv7 = conv(512, 512, 3, groups=2)
        else:
            self.conv6 = conv(conv5_units, 1024, 3)
        self.head = Linear(512 if self.star else 1024, classes, rng=rng)

    def __call__(self, pictures, training=False):
        """Logits, float32 [N, classes], and a dictionary of every named intermediate.

        pictures: [N, 227, 227, 3] in the dtype to compute in, preprocessed as
        the weights ask. The intermediates are "conv1" to "conv5" (behind their
        ReLU), those of the head, "features" (the map in front of the pooling,
        [N, h, w, C]) and "pooled" (float32 [N, C]).
        """
        named = {}
        x = pictures
        for layer in ("conv1", "conv2"):
            named[layer] = tf.nn.relu(getattr(self, layer)(x))
            x = tf.nn.max_pool2d(local_response_norm(named[layer]), 3, 2, "VALID")
        for layer in ("conv3", "conv4", "conv5"):
            named[layer] = x = tf.nn.relu(getattr(self, layer)(x))
        logits, of_head = self._head(x, training)
        return logits, named | of_head

    def behind_frozen(self, conv5, training=False):
        """Logits from the "conv5" intermediate: what is left to train when the features are frozen."""
        return self._head(conv5, training)[0]

    def grid(self, size):
        """Where the map's cells lie in an input of any size, as `ops.upsample` takes it."""
        # Without padding, the first cell's window begins at the border: conv1 has its
        # centre at 5.5, and each pooling moves it by the distance of the cells that it pools.
        return (33.5, 16) if self.star else (17.5, 16)

    @staticmethod
    def usual_size(**_):
        """Side of the input in pixels."""
        return 227

    def _head(self, x, training):
        named = {}
        if self.star:
            x = tf.nn.max_pool2d(x, 3, 1, "VALID")
        for layer in ("conv6", "conv7") if self.star else ("conv6",):
            named[layer] = x = tf.nn.relu(getattr(self, layer)(x))
        named["features"], named["pooled"] = x, self.pool(x)
        pooled = dropout(named["pooled"], 0.5) if self.star and training else named["pooled"]
        return self.head(pooled), named
