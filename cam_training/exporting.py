"""What a training hands out: weights that localize.py reads, and how they were made."""

import json
import os

import numpy as np

import nets
from cam_base import InputError, Preprocessing
from ops.quiet_tensorflow import tf
from weights import Weights

# What weights files say elsewhere, or what is of this machine only.
LEFT_OUT = ("out", "data", "init", "network", "preprocessing", "looking")


def as_weights(settings, pictures, tensors, epochs_done):
    """The network as localize.py needs it, with how it was made."""
    provenance = {"trained_on": pictures.name, "pictures": len(pictures), "epochs_done": epochs_done,
                  "started_from": settings.init and os.path.basename(settings.init),
                  "tensorflow": tf.__version__,
                  "settings": {k: v for k, v in vars(settings).items() if k not in LEFT_OUT}}
    return Weights(settings.network, tensors, pictures.categories,
                   Preprocessing.from_dict(settings.preprocessing), provenance, settings.looking)


def tensors_of(net):
    """{path: array} of the network's variables, and the path of one that a weights file cannot hold, or None.

    Such files hold kernels as float16, up to 65504, and the rest as float32.
    """
    tensors = {name: variable.numpy() for name, variable in nets.named_variables(net).items()}
    for name, tensor in tensors.items():
        largest = np.finfo(np.float16 if tensor.ndim > 1 else np.float32).max
        if not (np.abs(tensor) <= largest).all():
            return tensors, name
    return tensors, None


def refuse_edited_settings(description, settings):
    """InputError where a checkpoint's description (of `weights.describe`) says other settings than settings.json.

    The number of epochs may have changed.
    """
    now = json.loads(json.dumps(vars(settings)))
    try:
        held = json.loads(description)
        then = held["provenance"]["settings"] | {name: held[name] for name in ("network", "preprocessing")}
        then["looking"] = held.get("looking", {})  # the first checkpoints had none
        names = sorted(then.keys() - {"epochs"})
        if not set(names) <= now.keys():
            raise LookupError("a setting that settings.json has not")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{settings.out}: its checkpoint does not describe a run ({str(error)[:80]})") from None
    for name in names:
        if then[name] != now[name]:
            raise InputError(f"{settings.out}/settings.json says {name} {now[name]}, and the checkpoint {then[name]}: "
                             "a run goes on with what it was begun with")
