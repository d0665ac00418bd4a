"""Localizers of networks that are kept in files."""

import nets
import weights
from cam_base import InputError
from localization.localizer import Localizer
from localization.settings import PAPER_THRESHOLD


def load(name=None, **options):
    """A Localizer of trained weights.

    name     a published name (`python -m weights list`), a file of any known format, or the
             folder of a training run; None: EfficientNet-Lite1
    options  as of `from_weights`
    raises   InputError for weights that cannot be read or have no classes, and
             what `Localizer` raises
    """
    return from_weights(weights.load(weights.resolve(name)), **options)


def from_weights(trained, *, output_stride=None, scale=None, refine=None, threshold=None, **options):
    """A Localizer of what `weights.load` gave.

    output_stride             None, or a finer map, but for AlexNet: strides become dilations
    scale, refine, threshold  of `Localizer`. These four are the weights' own where None is given and
                              the weights have any; a threshold of their own holds for their own
                              scale, stride and refinement alone. Else they are the publication's:
                              min-max, none, 0.2
    options                   of `Localizer`
    raises                    as `load`
    """
    if not trained.classes:
        raise InputError("these weights have no classes: train a head first, with train_loop.py --init")
    own = trained.looking
    chosen = {"scale": own.get("scale", "min-max") if scale is None else scale,
              "refine": own.get("refine", 0) if refine is None else refine}
    stride = output_stride or own.get("output_stride")
    as_they_like = (chosen["scale"], chosen["refine"], stride) == (
        own.get("scale", "min-max"), own.get("refine", 0), own.get("output_stride"))
    if threshold is None:
        threshold = own.get("threshold", PAPER_THRESHOLD) if as_they_like else PAPER_THRESHOLD
    config = dict(trained.network) | ({"output_stride": stride} if stride else {})
    try:
        network = nets.build(config, len(trained.classes), seed=None)
        nets.assign(network, trained.tensors)
        nets.check_size(network, min(options.get("scales") or [trained.preprocessing.size]))
        nets.check_outputs(network, trained.preprocessing)
    except ValueError as error:
        raise InputError(f"the weights do not fit: {error}") from None
    return Localizer(network, trained.classes, trained.preprocessing, threshold=threshold, **chosen, **options)
