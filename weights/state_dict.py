"""From what training programs save to the tensors of one network: wrappings and prefixes taken off, and said."""

import re
from typing import NamedTuple

from cam_base import InputError
from .class_names import names_in_order
from .unpickle import Opaque

# Where a state dictionary lies within what is saved around it, the likeliest first.
ENTRIES = ("state_dict", "model", "model_state_dict", "module", "net", "network", "weights", "params", "model_state")
AVERAGES = re.compile(r"ema|averag|swa", re.IGNORECASE)  # of the weights, which are another choice
NOT_NETWORKS = re.compile(r"optim|sched|scaler|loops|callback|hyper|hparams|args|config", re.IGNORECASE)
DEEPEST = 4  # dictionaries within each other
# A tensor of a network that is known, by which the prefix of all is found.
ANCHORS = ("layer1.0.conv1.weight", "_conv_stem.weight")
HUGGING_FACE = "embedder.embedder.convolution.weight"


class State(NamedTuple):
    """tensors: {name: tensor}; taken: what of the file, in words, or None; names: of its classes, or None."""

    tensors: dict
    taken: str | None = None
    names: list | None = None


def state_of(saved, kind, entry=None):
    """The State of what a file holds; arguments and errors as of `tensors_of`."""
    return State(*tensors_of(saved, kind, entry), class_names(saved))


def class_names(saved):
    """The names of classes that a program saved beside its tensors: class_to_idx, id2label, classes; None where there are none."""
    for _, held in _within(saved):
        for key in ("class_to_idx", "label2id", "idx_to_class", "id2label", "classes", "class_names"):
            found = names_in_order(held.get(key))
            if found:
                return found
    return None


def _within(saved):
    """(path, dictionary) of all dictionaries within each other, the outermost first, each once."""
    seen, level = set(), [("", saved)]
    for _ in range(DEEPEST + 1):
        inner = []
        for path, value in level:
            if isinstance(value, dict) and id(value) not in seen:
                seen.add(id(value))
                yield path, value
                inner += [(f"{path}.{name}" if path else name, one) for name, one in value.items() if isinstance(name, str)]
        level = inner


def tensors_of(saved, kind, entry=None):
    """({name: tensor}, what was taken in words or None) of what a file holds.

    saved  what its pickle describes
    kind   the class of tensors
    entry  the wrapping's name, "model_ema"; None: the network's own weights, not averages of them

    Raises InputError where there is none, or several and no `entry`; where a whole module was saved.
    """
    if isinstance(saved, Opaque):
        raise InputError(f"it holds a whole module ({saved.name[:60]}), whose code would have to be run: refused; "
                         "save model.state_dict() instead")
    found = dict(_dictionaries(saved, kind))
    if entry is not None:
        if entry not in found:
            raise InputError(f"it has no entry {entry!r}; there are: {', '.join(filter(None, found)) or 'none'}")
        return _tensors(found[entry], kind), f"entry {entry}"
    if not found:
        modules = [value.name for value in saved.values() if isinstance(value, Opaque)] if isinstance(saved, dict) else []
        raise InputError("it holds no state dictionary: save model.state_dict()"
                         + (f" (it holds {modules[0][:60]}, whose code would have to be run: refused)" if modules else ""))
    if "" in found:
        return _tensors(found[""], kind), None
    own = [path for path in found if not AVERAGES.search(path)] or list(found)
    own.sort(key=lambda path: ENTRIES.index(path.split(".")[-1]) if path.split(".")[-1] in ENTRIES else len(ENTRIES))
    first = own[0]
    if len(own) > 1 and first.split(".")[-1] not in ENTRIES:
        raise InputError(f"it has several state dictionaries: {', '.join(own)}; choose one by --entry")
    others = [path for path in found if path != first]
    return _tensors(found[first], kind), f"entry {first}" + (f" (--entry takes another: {', '.join(others)})" if others else "")


def _dictionaries(saved, kind):
    """(path, dictionary) of each that holds a network's tensors, the outermost first."""
    found, outer = [], set()
    for path, value in _within(saved):
        tensors = sum(isinstance(one, kind) for name, one in value.items() if isinstance(name, str))
        # Beside a state dictionary, a trainer may keep a tensor or two: its best accuracy, say.
        within_found = "" in outer or _has_ancestor(path, outer)
        if tensors and 2 * tensors >= len(value) and not within_found and not any(map(NOT_NETWORKS.search, path.split("."))):
            found.append((path, value))
            outer.add(path)
    return found


def _has_ancestor(path, paths):
    """Whether one of the paths leads to this one, in the shorter of two searches: a hostile file may have many paths, or long ones."""
    if len(paths) < path.count("."):
        return any(path.startswith(one + ".") for one in paths)
    return any(path[:dot.start()] in paths for dot in re.finditer(r"\.", path))


def _tensors(dictionary, kind):
    """Its tensors; InputError for a parameter that something not admitted would have to make."""
    for name, value in dictionary.items():
        if isinstance(value, Opaque) and isinstance(name, str) and name.endswith((".weight", ".bias", ".running_mean", ".running_var")):
            raise InputError(f"{name[:60]} is made by {value.name[:60]}, which is not run here: refused")
    return {name: value for name, value in dictionary.items() if isinstance(name, str) and isinstance(value, kind)}


def without_prefix(arrays):
    """({name: array} of one network, {name: array} of what lies beside it, what was taken in words or None).

    What programs put in front of every name ("module.", "backbone.") is taken off;
    names that do not have it are of something else. Hugging Face's names become torchvision's.
    """
    ends = [name for name in arrays if any(name == anchor or name.endswith("." + anchor) for anchor in ANCHORS)]
    if not ends:
        if any(name.endswith(HUGGING_FACE) for name in arrays):
            return _from_hugging_face(arrays)
        return arrays, {}, None
    if len(ends) > 1:
        prefixes = sorted(name[:-len(anchor)] for name in ends for anchor in ANCHORS if name.endswith(anchor))
        raise InputError(f"it has several networks, {', '.join(prefix or '(no prefix)' for prefix in prefixes)}: save one of them")
    prefix = next(ends[0][:-len(anchor)] for anchor in ANCHORS if ends[0].endswith(anchor))
    if not prefix:
        return arrays, {}, None
    own = {name[len(prefix):]: array for name, array in arrays.items() if name.startswith(prefix)}
    beside = {name: array for name, array in arrays.items() if not name.startswith(prefix)}
    return own, beside, f"prefix {prefix}"


HUGGING_FACE_NAMES = "Hugging Face's names"
PARTS = {"convolution": "conv", "normalization": "bn"}


def _from_hugging_face(arrays):
    """As `without_prefix`, of the names of transformers' ResNetForImageClassification."""
    own, beside = {}, {}
    for name, array in arrays.items():
        stem = re.search(r"(?:^|\.)embedder\.embedder\.(convolution|normalization)\.(\w+)$", name)
        unit = re.search(r"(?:^|\.)encoder\.stages\.(\d)\.layers\.(\d+)\.(?:layer\.(\d)|(shortcut))\.(convolution|normalization)\.(\w+)$", name)
        if stem:
            own[f"{PARTS[stem[1]]}1.{stem[2]}"] = array
        elif unit and unit[4]:
            own[f"layer{int(unit[1]) + 1}.{unit[2]}.downsample.{0 if unit[5] == 'convolution' else 1}.{unit[6]}"] = array
        elif unit:
            own[f"layer{int(unit[1]) + 1}.{unit[2]}.{PARTS[unit[5]]}{int(unit[3]) + 1}.{unit[6]}"] = array
        else:
            beside[name] = array
    return own, beside, HUGGING_FACE_NAMES


def linear_layer(arrays, features):
    """The names of the one linear layer's (kernel, bias or None) among arrays; (None, None) where there is none.

    It is found by its place, behind the pooling, and its shape, whatever it is called. Raises
    InputError for two of them, and for one that takes another number of features.
    """
    kernels = [name for name, array in arrays.items() if len(array.shape) == 2 and name.endswith("weight")]
    if not kernels:
        return None, None
    if len(kernels) > 1:
        raise InputError(f"it has {len(kernels)} linear layers ({', '.join(kernels[:4])}): CAM is not defined behind two layers, only "
                         "behind one that follows the pooling")
    (kernel,) = kernels
    if arrays[kernel].shape[1] != features:
        raise InputError(f"its linear layer {kernel} takes {arrays[kernel].shape[1]} numbers, and the network has {features} features")
    bias = kernel.removesuffix("weight") + "bias"
    return kernel, bias if bias in arrays else None
