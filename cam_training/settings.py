"""What a training run is asked to do: options, checked, and kept in the run's settings.json."""

import json
import math
import os
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import cam_base.settings
import nets
import weights
from cam_base import InputError, Preprocessing, open_regular
from cam_base.files import is_utf8
from cam_base.settings import check_bounds, flag, option
from weights.store import checked_looking
from .precision import automatic_precision
from .presets import PRESETS, chosen

# With --init the file says which network it is of; a new head and another stride can be chosen.
GIVEN_BY_INIT = ("network", "variant", "depth", "width", "stem")
OF_NETWORK = ("variant", "depth", "width", "stem", "output_stride", "head", "pooling")
# Settings that runs of earlier versions lack; what they did is each one's default.
NEWER = ("looking", "preset", "hold_out", "validate", "schedule", "average", "crop", "jitter", "cutout", "mixup", "cutmix", "mixed", "first_size",
         "class_weights")
MAY_CHANGE = {"epochs", "out"}
DATA, TRANSFER, TRAINING, NETWORK = "data and run", "transfer", "training", "network"
# What is not given: from nothing, with --init, and with --freeze-features. Features that are there already want
# smaller steps than the layers behind them, and small sets more passes: see `epochs_of`.
RECIPES = {
    "from nothing": {"epochs": 12, "batch": 64, "learning_rate": 0.1, "features_rate": 1.0, "weight_decay": 5e-4},
    "fine-tuning": {"epochs": None, "batch": 32, "learning_rate": 0.01, "features_rate": 0.1, "weight_decay": 1e-4},
    "frozen": {"epochs": None, "batch": 64, "learning_rate": 0.01, "features_rate": 1.0, "weight_decay": 1e-4},
}
LEAST_EPOCHS, LEAST_STEPS, ENOUGH_EPOCHS = {"fine-tuning": 5, "frozen": 20}, 400, 100
# What changes pictures that are trained on, but not drawn ones; and these as they come in batches.
OF_PICTURES = ("crop", "jitter", "cutout")
CHANGES = (*OF_PICTURES, "mixup", "cutmix", "mixed", "first_size")
WHOLE, LARGE = 2**31, 1e30  # bounds of what TensorFlow holds as int32 and float32
LARGEST_FILE = 1 << 20  # bytes of a settings.json
KINDS = {int: "a whole number", float: "a number", str: "a name in UTF-8", bool: "true or false"}


@dataclass(kw_only=True)
class Common:
    """What is given as options and kept in settings.json by the same names."""

    data: str = option("synthetic", "folder of a data set, or 'synthetic'", group=DATA)
    classes: int | None = option(None, "only the first so many classes", kind=int, least=2, below=WHOLE, group=DATA)
    rows: int | None = option(None, "only so many training pictures, spread over the classes", kind=int, least=1,
                              below=WHOLE, group=DATA)
    largest_picture: float = option(150.0, "pictures with more pixels are left out", least=0.001, below=1e6,
                                    metavar="MEGAPIXELS", group=DATA)
    hold_out: int = option(0, "judge by so many of the training pictures, drawn by --seed, instead of the validation split", least=0,
                           below=WHOLE, metavar="PICTURES", group=DATA)
    validate: str = option("every", "judge the validation pictures after every epoch, which best.npz is chosen by, or once, at the end",
                           choices=("every", "end"), group=DATA)
    out: str | None = option(None, "folder of this run (default: runs/<data>-<network>)", group=DATA)
    init: str | None = option(None, "start from these weights: a file, or a name of `python -m weights list`",
                              metavar="FILE", group=TRANSFER)
    freeze_features: bool = option(False, "train only the layers that are not in --init", group=TRANSFER)
    features_rate: float | None = option(None, "learning rate of --init's layers, as a share (0.1)", kind=float, least=0,
                                         below=LARGE, group=TRANSFER)
    epochs: int | None = option(None, "passes over the training pictures (12; with --init 5, with --freeze-features 20, "
                                "or as many more, up to 100, as make 400 steps)", kind=int, least=1, below=10**9, group=TRAINING)
    batch: int | None = option(None, "pictures in a step (64; with --init 32, with --freeze-features 64)", kind=int, least=1, below=WHOLE,
                               group=TRAINING)
    learning_rate: float | None = option(None, "at its peak, after warm-up (0.1; with --init 0.01)", kind=float, least=0, below=LARGE,
                                         group=TRAINING)
    warm_up: float = option(1.0, "epochs in which the rate rises; half of --epochs where it is not less than these", least=0, below=1e9, group=TRAINING)
    schedule: str = option("cosine", "how it falls to 0 after that; one-cycle: linearly", choices=("cosine", "one-cycle"), group=TRAINING)
    average: float = option(0.0, "decay of the moving average of all weights, which is what is judged and kept; 0: the weights themselves",
                            least=0, below=1, group=TRAINING)
    weight_decay: float | None = option(None, "on kernels; never on biases and batch norm (5e-4; with --init 1e-4)",
                                        kind=float, least=0, below=LARGE, group=TRAINING)
    label_smoothing: float = option(0.0, "may classify better, and localizes worse: see README", least=0, below=1,
                                    group=TRAINING)
    class_weights: str = option("none", "balanced: the loss of a picture counts by 1 over how many pictures its class has, so that classes count "
                                "alike", choices=("none", "balanced"), group=TRAINING)
    clip: float = option(0.0, "largest global norm of the gradient; 0: any", least=0, below=LARGE, group=TRAINING)
    crop: str = option("resized", "of each picture that is trained on: 35 to 100 %% of it, resized; or all of it, shifted by an eighth of a "
                       "side at most", choices=("resized", "padded", "none"), group=TRAINING)
    no_mirror: bool = option(False, "do not mirror half of the pictures: for text, digits, and classes of left and right", group=TRAINING)
    jitter: float = option(0.0, "of brightness, contrast and saturation: 0.4 is from 60 to 140 %%", least=0, below=1.001, group=TRAINING)
    cutout: float = option(0.0, "side of a square that is hidden, as a share of the input's", least=0, below=1.001, group=TRAINING)
    mixup: float = option(0.0, "alpha of its Beta distribution (0.2 is usual)", least=0, below=1000, group=TRAINING)
    cutmix: float = option(0.0, "alpha of its Beta distribution (1 is usual)", least=0, below=1000, group=TRAINING)
    mixed: float = option(1.0, "share of the batches that --mixup and --cutmix change: 0.5 is theirs that published CutMix, on CIFAR", least=0,
                          below=1.001, group=TRAINING)
    first_size: int | None = option(None, "side of the input in the first epoch; it grows to --size over two thirds of all", kind=int, least=16,
                                    below=4097, group=TRAINING)
    precision: str = option("auto", "to compute in; auto: bfloat16 where it is faster, which is tried once on each machine",
                            choices=("auto", "float32", "bfloat16", "float16"), group=TRAINING)
    seed: int = option(0, "of the weights, the order and the crops", least=0, below=WHOLE, group=TRAINING)

    def check_values(self, place=""):
        """InputError, which begins with `place`, for what is of a wrong kind or out of bounds."""
        for entry in fields(self):
            if entry.metadata:
                _check(entry, getattr(self, entry.name), place)

    def check(self, place=""):
        """The same, also for what contradicts another."""
        self.check_values(place)
        if self.freeze_features and not self.init:
            raise InputError(f"{place}--freeze-features needs --init: random features are not worth freezing")
        if self.features_rate not in (None, 1) and (not self.init or self.freeze_features):
            raise InputError(f"{place}--features-rate needs --init, whose layers it is for, and they are not trained "
                             "with --freeze-features")
        if self.mixed != 1 and not self.mixup and not self.cutmix:
            raise InputError(f"{place}--mixed goes with --mixup or --cutmix")
        drawn = "drawn pictures, which are new in every epoch"
        for still, names, why in ((self.freeze_features, CHANGES, "--freeze-features, whose pictures are looked at once"),
                                  (self.data == "synthetic", OF_PICTURES, drawn),
                                  (self.data == "synthetic" and not self.freeze_features, ("no_mirror",), drawn)):
            for entry in fields(self):
                if still and entry.name in names and getattr(self, entry.name) != entry.default:
                    raise InputError(f"{place}{flag(entry)} does not go with {why}")


@dataclass(kw_only=True)
class Options(Common):
    """What can be typed: besides, what the network is made of."""

    preset: str | None = option(None, "a recipe by name; every option that is given goes before it", choices=tuple(PRESETS), group=TRAINING)

    resume: str | None = option(None, "go on with the run in this folder, with its own settings; --epochs may change, "
                                "and --out, for going on in a copy", metavar="RUN", group=DATA)
    dry_run: bool = option(False, "try the data and some steps, say how long all of it will take, and write nothing", group=DATA)
    network: str | None = option(None, "default: resnet", choices=nets.NAMES, group=NETWORK)
    variant: int | None = option(None, "efficientnet-lite: 0 (default), 1 or 2", kind=int, least=0, below=3,
                                 group=NETWORK)
    depth: int | None = option(None, "resnet: 18, 26 (default), 34, 50, 101 or 152", kind=int, group=NETWORK)
    width: int | None = option(None, "resnet: channels of the first stage; 32 by default, published ones have 64",
                               kind=int, least=8, below=WHOLE, group=NETWORK)
    stem: str | None = option(None, "resnet: 7x7/4, or 3x3/2 (default) and 3x3/1 for small pictures", group=NETWORK)
    output_stride: int | None = option(None, "picture size over map size; resnet: 8 by default, efficientnet-lite: 32",
                                       kind=int, least=1, below=WHOLE, group=NETWORK)
    head: str | None = option(None, "alexnet: AlexNet-GAP (default) or AlexNet*-GAP", choices=("gap", "star"),
                              group=NETWORK)
    pooling: str | None = option(None, "resnet and alexnet: average (default), which class activation maps are of, or max, to compare with",
                                 choices=("average", "max"), group=NETWORK)
    size: int | None = option(None, "side of the input in pixels (default: 64; alexnet: 227; efficientnet-lite: 224, "
                              "240 or 260; --init: the file's)", kind=int, least=16, below=4097, group=NETWORK)


@dataclass(kw_only=True)
class Settings(Common):
    """All that a run needs, as its settings.json holds it.

    preset         whose values were chosen where no other was given, or None
    network        arguments of `nets.build`
    preprocessing  Preprocessing as a dictionary
    looking        how the maps of --init localize best, which those of its features inherit: see `weights.Weights`
    """

    preset: str | None = None
    network: dict = field(default_factory=dict)
    preprocessing: dict = field(default_factory=dict)
    looking: dict = field(default_factory=dict)


class Request(NamedTuple):
    """settings: Settings; resumed: the folder of the run that is to go on, or None; dry_run: whether it is only tried."""

    settings: object
    resumed: str | None
    dry_run: bool


def parse(arguments):
    """The Request of a command line; InputError for what makes no sense."""
    options, given = cam_base.settings.parse(
        Options, arguments, "train_loop.py",
        "Train a network that ends in global average pooling and one linear layer.")
    if options.resume is None:
        if options.preset and options.data == "synthetic":
            raise InputError(f"--preset {options.preset} is for pictures of your own: name their folder by --data")
        take_preset(options, given)
        options.check()
        return Request(new_settings(options), None, options.dry_run)
    options.check_values()
    if options.dry_run:
        raise InputError("--dry-run does not go with --resume: its log says how long an epoch takes")
    settings = saved_settings(options.resume)
    refuse_changes(options, given - {"resume"} - MAY_CHANGE, settings)
    settings.out = options.out or options.resume
    if "epochs" in given:
        settings.epochs = options.epochs
    return Request(settings, options.resume, False)


def take_preset(options, given):
    """Set what the preset chooses and nobody has given; InputError where it chooses what --init decides."""
    values = chosen(options.preset, given)
    for name in GIVEN_BY_INIT:
        if options.init and name in values:
            raise InputError(f"--preset {options.preset} chooses --{name}, and with --init the file says which network it is of: "
                             "--preset finetune is for --init")
    if options.freeze_features:
        values.pop("features_rate", None)
    for name, value in values.items():
        setattr(options, name, value)


def new_settings(options):
    for name in GIVEN_BY_INIT:
        if options.init and getattr(options, name) is not None:
            raise InputError(f"--{name} cannot be chosen with --init: the file says which network it is of")
    settings = Settings(**{entry.name: getattr(options, entry.name) for entry in fields(Common)}, preset=options.preset)
    settings.data, settings.init = full_path(options.data), resolved(options.init)
    settings.network, preprocessing, settings.looking = chosen_network(options, settings.init)
    settings.preprocessing = replace(preprocessing, size=options.size or preprocessing.size).to_dict()
    settings.out = options.out or os.path.join("runs", f"{os.path.basename(settings.data)}-{settings.network['name']}")
    settings.precision = resolved_precision(options.precision, settings.network)
    for name, value in RECIPES[recipe_of(settings)].items():
        if getattr(settings, name) is None:
            setattr(settings, name, value)
    settings.check()
    if settings.first_size and settings.first_size > settings.preprocessing["size"]:
        raise InputError(f"--first-size {settings.first_size} is larger than the size that is grown to, {settings.preprocessing['size']}")
    return settings


def recipe_of(settings):
    """Which of the RECIPES."""
    return "frozen" if settings.freeze_features else "fine-tuning" if settings.init else "from nothing"


def epochs_of(settings, pictures):
    """The epochs that were asked for, or those of the recipe for so many pictures."""
    if settings.epochs:
        return settings.epochs
    of_steps = math.ceil(LEAST_STEPS / max(1, pictures // settings.batch))
    return max(LEAST_EPOCHS[recipe_of(settings)], min(of_steps, ENOUGH_EPOCHS))


def chosen_network(options, init):
    """(the network's configuration, Preprocessing, looking) of a run from nothing, or from the weights file `init`."""
    trained = init and weights.load(init)
    network = dict(trained.network) if trained else {"name": options.network or "resnet"}
    try:
        known = nets.class_of(network)
    except ValueError as error:
        raise InputError(f"{init}: {error}") from None
    asked = {name: getattr(options, name) for name in OF_NETWORK if getattr(options, name) is not None}
    for name in sorted(set(asked) - set(known.defaults)):
        raise InputError(f"--{name.replace('_', '-')} is not an option of {network['name']}")
    if trained:
        return network | asked, trained.preprocessing, trained.looking
    arguments = known.defaults | asked
    return network | arguments, Preprocessing(size=known.usual_size(**arguments)), {}


def full_path(data):
    """The data set's folder, whatever folder the program is started in later."""
    return data if data == "synthetic" else os.path.abspath(data)


def resolved(init):
    return init and os.path.abspath(weights.resolve(init))


def resolved_precision(precision, network):
    return automatic_precision(network["name"]) if precision == "auto" else precision


def refuse_changes(options, given, settings):
    """InputError for the first of the options `given` whose value is not the one that the run has."""
    known = {"data": lambda: full_path(options.data), "init": lambda: resolved(options.init),
             "precision": lambda: settings.precision if options.precision == "auto" else options.precision}
    had = vars(settings) | {"size": settings.preprocessing["size"], "network": settings.network.get("name")}
    for name in sorted(given):
        asked = known[name]() if name in known else getattr(options, name)
        if asked != (had[name] if name in had else settings.network.get(name)):
            raise InputError(f"--{name.replace('_', '-')} {asked} is not what the run {options.resume} was begun with: "
                             "with --resume only --epochs and --out may change; start a new run for another setting")


def saved_settings(run):
    """Settings of the run in a folder; InputError for a settings.json that holds anything else."""
    path = os.path.join(run, "settings.json")
    try:
        with open_regular(path, LARGEST_FILE) as file:
            held = json.load(file)
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{run} holds no run that could be resumed (no readable settings.json)") from None
    if isinstance(held, dict):
        held = {name: getattr(Settings(), name) for name in NEWER} | held
    if not isinstance(held, dict) or set(held) != {entry.name for entry in fields(Settings)}:
        raise InputError(f"{path} is not of this version of train_loop.py: start a new run")
    settings = Settings(**held)
    settings.check(f"{path}: ")
    for name in RECIPES["from nothing"]:
        if getattr(settings, name) is None:
            raise InputError(f"{path}: --{name.replace('_', '-')} is null; it must be a number")
    if settings.preset is not None and settings.preset not in list(PRESETS):
        raise InputError(f"{path}: preset is none of {', '.join(PRESETS)}")
    if not isinstance(settings.network, dict):
        raise InputError(f"{path}: network is not a dictionary")
    try:
        settings.preprocessing = Preprocessing.from_dict(settings.preprocessing).to_dict()
        checked_looking(settings.looking)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    settings.precision = resolved_precision(settings.precision, settings.network)
    return settings


def _check(entry, value, place):
    """InputError unless the value is one that the field may have."""
    if value is None and entry.default is None:
        return
    kind = entry.metadata["kind"] or (str if entry.default is None else type(entry.default))
    right = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if kind is str and right:
        right = value != "" and "\0" not in value and is_utf8(value)
    if not right or entry.metadata["choices"] and value not in entry.metadata["choices"]:
        wanted = f"one of {', '.join(entry.metadata['choices'])}" if entry.metadata["choices"] else KINDS[kind]
        raise InputError(f"{place}{flag(entry)} is {value!r}; it must be {wanted}")
    try:
        check_bounds(entry, value)
    except InputError as error:
        raise InputError(f"{place}{error}") from None
