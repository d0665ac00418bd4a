"""Localizers of networks that are kept in files."""

import nets
import weights
from cam_base import InputError
from cam_base.terminal import warn
from ops.walking import GRID
from .localizer import Localizer, refuse_other_modes
from .settings import PAPER_THRESHOLD


def load(name=None, entry=None, class_names=None, preprocessing=None, multi_label=False, **options):
    """A Localizer of trained weights.

    name     a published name (`python -m weights list`), a file of any known format, or the
             folder of a training run; None: EfficientNet-Lite1
    entry    of a checkpoint that holds several: "model_ema" (`weights.load`)
    class_names  instead of the file's: a path, as `weights.read_class_names` takes it
    preprocessing  {field of `cam_base.Preprocessing`: value}, in place of the file's
    multi_label  whether each logit is a sigmoid of its own; False: as the file says
    options  as of `from_weights`
    raises   InputError for weights that cannot be read or have no classes, and
             what `Localizer` raises
    """
    trained = weights.load_as_said(weights.resolve(name), entry=entry, class_names=class_names, preprocessing=preprocessing, multi_label=multi_label)
    if trained.provenance.get("taken"):
        warn(f"{name}: taken: {trained.provenance['taken']}")
    return from_weights(trained, **options)


def from_weights(trained, *, output_stride=None, scale=None, refine=None, refine_grid=None, threshold=None, **options):
    """A Localizer of what `weights.load` gave.

    output_stride  None, or a finer map, but for AlexNet: strides become dilations
    scale, refine, refine_grid, threshold
                   of `Localizer`. These and the stride are the weights' own where None is given
                   and the weights have any; a threshold of their own holds for their own scale
                   and stride, and with or without refinement as they say. Else they are the
                   publication's: min-max, no refinement, 0.2
    options        of `Localizer`
    raises         as `load`
    """
    refuse_other_modes()
    if not trained.classes:
        raise InputError("these weights have no classes: train a head first, with train_loop.py --init")
    if options.get("centre_crop") and not trained.preprocessing.centre_crop:
        raise InputError("these weights do not say by which centre crop they were judged: say it, --centre-crop 256")
    if options.get("centre_crop") and trained.preprocessing.centre_crop < trained.preprocessing.size:
        raise InputError(f"--centre-crop {trained.preprocessing.centre_crop}: the network's input is {trained.preprocessing.size} pixels a side, "
                         "which cannot be cut out of less")
    own = trained.looking
    liked = {"scale": "min-max", "refine": 0, "refine_grid": GRID, "output_stride": None} | own
    liked.pop("chosen_on", None)
    liked_threshold = liked.pop("threshold", PAPER_THRESHOLD)
    asked = {"scale": scale, "refine": refine, "refine_grid": refine_grid, "output_stride": output_stride}
    if options.get("boxes") == "authors" and refine is None:
        asked["refine"] = 0  # their program draws boxes of maps as the network has them; all else is then of these, too
    chosen = {name: liked[name] if value is None else value for name, value in asked.items()}
    if threshold is None:
        native = trained.network.get("output_stride", nets.class_of(trained.network).defaults.get("output_stride"))
        alike = {"refine": bool, "refine_grid": bool, "output_stride": lambda stride: stride or native}
        as_they_like = all(alike.get(name, str)(chosen[name]) == alike.get(name, str)(liked[name]) for name in chosen)
        # Of larger inputs, ten crops or moved cells the best threshold is another: of 5/3 of the size 0.24, not 0.35.
        other_views = options.get("scales") or options.get("align") or options.get("crops") == 10
        threshold = liked_threshold if as_they_like and not other_views else PAPER_THRESHOLD
    stride = chosen.pop("output_stride")
    config = dict(trained.network) | ({"output_stride": stride} if stride else {})
    try:
        network = nets.build(config, len(trained.classes), seed=None)
        nets.assign(network, trained.tensors)
        nets.check_size(network, min(options.get("scales") or [trained.preprocessing.size]))
        nets.check_outputs(network, trained.preprocessing)
    except ValueError as error:
        raise InputError(f"the weights do not fit: {error}") from None
    return Localizer(network, trained.classes, trained.preprocessing, threshold=threshold, multi_label=trained.multi_label, constant_weights=True,
                     **chosen, **options)
