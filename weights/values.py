"""Which numbers a trained network has: a file with others is damaged, however well formed it is.

What real networks have, and what is therefore believed:

| | kernels, biases, gamma, beta | mean | variance |
| --- | --- | --- | --- |
| Keras' and torchvision's ResNets when they begin | up to 1 | 0 | 1 |
| the ResNet-26 in this folder, trained | up to 3 | up to 3.5 | 0.00025 to 6.7 |
| EfficientNet-Lite0, -1 and -2 as published, on ILSVRC | up to 15 | up to 23 | 0, and 0.00000006 to 600 |
| believed | up to 65,504 | up to 65,504 | 0 to 65,504 squared |

65,504 is the largest number of float16, in which this project keeps kernels and may
compute: what is beyond it a layer in float16 cannot bear. One bit that flips in a
number's exponent takes it far beyond.

A variance is positive. Only of a unit that is dead, because nothing reaches it, may it
have fallen to 0 (a hundredth of EfficientNet-Lite's have), and then the mean fell with
it, to 0.00005 at most there. So a variance below 1e-12 is believed where the mean is
at most 0.001, and never of all units of a layer.
"""

import math
import re

import numpy as np

from cam_base import InputError
from nets.tables import LITE_EPSILON

LARGEST = 65504
DEAD_VARIANCE, DEAD_MEAN = 1e-12, 1e-3
# As this project, Keras and PyTorch call it.
VARIANCE = re.compile(r"(^|[/.])(moving_|running_)?var(iance)?$")


def check_numbers(name, array):
    """InputError unless an array of floating-point numbers is finite and within the bounds above.

    name: the tensor's path, in this project's form or a file's own; its last part says whether it is a variance
    """
    if not array.size:
        return
    with np.errstate(invalid="ignore"):
        low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"{name} holds numbers that are not finite")
    is_variance = VARIANCE.search(name) is not None
    if is_variance and low < 0:
        raise InputError(f"{name} holds {low:.4g}; a variance is never negative: the file is damaged")
    largest = LARGEST**2 if is_variance else LARGEST
    if max(-low, high) > largest:
        raise InputError(f"{name} holds {high if high > largest else low:.4g}; no trained network has numbers beyond "
                         f"{largest:,}: the file is damaged")


def check_statistics(network, tensors):
    """InputError unless each batch normalisation's numbers go together.

    network: the configuration, which says what epsilon is added to variances; tensors: {path: array}.
    Of dead units see above. No unit may be scaled, by gamma / sqrt(variance + epsilon), by more than 65,504.
    """
    usual = LITE_EPSILON if network.get("name") == "efficientnet-lite" else 1e-5
    epsilon = np.float32(network.get("epsilon", usual))
    for name in tensors:
        if not name.endswith("/variance"):
            continue
        norm = name.removesuffix("variance")
        variance, mean, gamma = (np.asarray(tensors.get(norm + what, 0), np.float32)
                                 for what in ("variance", "mean", "gamma"))
        small = variance < DEAD_VARIANCE
        damaged = small & ((np.abs(mean) > DEAD_MEAN) | small.all())
        if damaged.any():
            raise InputError(f"{name} holds {float(variance[damaged][0]):.4g} for a unit that is not dead; "
                             "variances are positive: the file is damaged")
        with np.errstate(all="ignore"):
            gain = np.abs(gamma) / np.sqrt(variance + epsilon)
        if not (gain <= LARGEST).all():
            raise InputError(f"{norm}gamma divided by the deviation is {float(gain.max()):.4g} with an epsilon of "
                             f"{float(epsilon):.4g}; no trained network scales by more than {LARGEST:,}")
