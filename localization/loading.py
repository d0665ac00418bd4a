"""Localizers of networks that are kept in files."""

import nets
import weights
from cam_base import InputError
from localization.localizer import Localizer


def load(name=None, *, output_stride=None, **options):
    """A Localizer of trained weights.

    name           a published name (`python -m weights list`), a file of any known format, or the
                   folder of a training run; None: the network that comes with this project
    output_stride  None, or a finer map, but for AlexNet: strides become dilations
    options        of `Localizer`
    raises         InputError for weights that cannot be read or have no classes, and
                   what `Localizer` raises
    """
    return from_weights(weights.load(weights.resolve(name)), output_stride=output_stride, **options)


def from_weights(trained, *, output_stride=None, **options):
    """A Localizer of what `weights.load` gave; parameters and errors as of `load`."""
    if not trained.classes:
        raise InputError("these weights have no classes: train a head first, with train_loop.py --init")
    config = dict(trained.network) | ({"output_stride": output_stride} if output_stride else {})
    try:
        network = nets.build(config, len(trained.classes))
        nets.assign(network, trained.tensors)
        nets.check_size(network, min(options.get("scales") or [trained.preprocessing.size]))
        nets.check_outputs(network, trained.preprocessing)
    except ValueError as error:
        raise InputError(f"the weights do not fit: {error}") from None
    return Localizer(network, trained.classes, trained.preprocessing, **options)
