"""What a training run is asked to do: options, checked and made into settings.json."""

import argparse
import json
import os
from dataclasses import replace

import nets
import weights
from cam_base import InputError, Preprocessing
from cam_base.terminal import Parser, check_least

# Options that make a network; with --init the file says these, but for the last three.
NETWORK_OPTIONS = ("network", "depth", "width", "stem", "head", "output_stride")
DEFAULT_RESNET = {"name": "resnet", "depth": 26, "width": 32, "stem": "3x3/2", "output_stride": 8}
DEFAULT_ALEXNET = {"name": "alexnet", "head": "gap"}


def parse(arguments):
    parser = Parser(
        prog="train_loop.py",
        description="Train a network that ends in global average pooling and one linear layer.")
    group = parser.add_argument_group("data and run").add_argument
    group("--data", default="synthetic", help="folder of a data set, or 'synthetic'")
    group("--classes", type=int, help="only the first so many classes")
    group("--rows", type=int, help="only so many training pictures, spread over the classes")
    group("--out", help="folder of this run (default: runs/<data>-<network>)")
    group("--resume", metavar="RUN", help="go on with the run in this folder; no other option goes with it")
    group = parser.add_argument_group("network").add_argument
    group("--network", choices=sorted(nets.NETWORKS), help="default: resnet")
    group("--depth", type=int, help="resnet: 26 (default), 50, 101 or 152")
    group("--width", type=int, help="resnet: channels of the first stage; 32 by default, published ones have 64")
    group("--stem", help="resnet: 7x7/4, or 3x3/2 (default) and 3x3/1 for small pictures")
    group("--output-stride", type=int, help="resnet: picture size over map size, 8 by default")
    group("--head", choices=("gap", "star"), help="alexnet: AlexNet-GAP (default) or AlexNet*-GAP")
    group("--size", type=int, help="side of the input in pixels (default: 64; alexnet: 227; --init: the file's)")
    group = parser.add_argument_group("transfer").add_argument
    group("--init", metavar="FILE", help="start from these weights: a file, or a name of `python -m weights list`")
    group("--freeze-features", action="store_true", help="train only the layers that are not in --init")
    group("--no-mirror", action="store_true", help="frozen features of the pictures as they are only")
    group("--features-rate", type=float, default=1.0, help="learning rate of --init's layers, as a share")
    group = parser.add_argument_group("training").add_argument
    group("--epochs", type=int, default=12)
    group("--batch", type=int, default=64)
    group("--learning-rate", type=float, default=0.1, help="at its peak, after warm-up")
    group("--warm-up", type=float, default=1.0, help="epochs of linear warm-up; then a cosine down to 0")
    group("--weight-decay", type=float, default=5e-4, help="on kernels; never on biases and batch norm")
    group("--label-smoothing", type=float, default=0.0, help="may classify better, and localizes worse: see README")
    group("--clip", type=float, default=0.0, help="largest global norm of the gradient; 0: any")
    group("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
          help="to compute in; auto: bfloat16 where the hardware has it")
    group("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.resume:
        if len(arguments) > (1 if arguments[0].startswith("--resume=") else 2):
            raise InputError("--resume takes all settings from the run: give no other option with it")
        return saved_settings(options.resume)
    check(options)
    return new_settings(options)


def check(options):
    check_least(options, epochs=1, batch=1, classes=1, rows=1, output_stride=1, width=8, size=16, learning_rate=0,
                warm_up=0, weight_decay=0, features_rate=0, clip=0, seed=0)
    if not 0 <= options.label_smoothing < 1:
        raise InputError(f"--label-smoothing is {options.label_smoothing}; it must be at least 0 and less than 1")
    if options.freeze_features and not options.init:
        raise InputError("--freeze-features needs --init: random features are not worth freezing")
    if options.no_mirror and not options.freeze_features:
        raise InputError("--no-mirror goes with --freeze-features")
    if options.features_rate != 1 and (not options.init or options.freeze_features):
        raise InputError("--features-rate needs --init, whose layers it is for, and they are not trained with "
                         "--freeze-features")
    for name in NETWORK_OPTIONS[:4]:
        if options.init and getattr(options, name) is not None:
            raise InputError(f"--{name} cannot be chosen with --init: the file says which network it is of")


def new_settings(options):
    """All that the run needs, as a namespace that settings.json holds."""
    settings = vars(options)
    chosen = {name: settings.pop(name) for name in NETWORK_OPTIONS}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    size = settings.pop("size")
    del settings["resume"]
    if options.init:
        settings["init"] = os.path.abspath(weights.resolve(options.init))
        trained = weights.load(settings["init"])
        config, preprocessing = dict(trained.network), trained.preprocessing
    else:
        config = dict(DEFAULT_ALEXNET if chosen.pop("network", "resnet") == "alexnet" else DEFAULT_RESNET)
        preprocessing = Preprocessing(size=227 if config["name"] == "alexnet" else 64)
    foreign = sorted(set(chosen) - set(DEFAULT_ALEXNET if config["name"] == "alexnet" else DEFAULT_RESNET))
    if foreign:
        raise InputError(f"--{foreign[0].replace('_', '-')} is not an option of {config['name']}")
    settings["network"] = config | chosen
    settings["preprocessing"] = replace(preprocessing, size=size or preprocessing.size).to_dict()
    place = os.path.basename(os.path.abspath(options.data))
    settings["out"] = options.out or os.path.join("runs", f"{place}-{config['name']}")
    if settings["precision"] == "auto":
        settings["precision"] = "bfloat16" if nets.hardware_has_bfloat16() else "float32"
    if os.path.exists(os.path.join(settings["out"], "settings.json")):
        raise InputError(f"{settings['out']} already holds a run: go on with it by --resume "
                         f"{settings['out']}, or choose another folder by --out")
    return argparse.Namespace(**settings)


# What settings.json holds: one of an older version cannot be resumed.
SETTINGS = {"data", "classes", "rows", "out", "init", "freeze_features", "no_mirror", "features_rate",
            "epochs", "batch", "learning_rate", "warm_up", "weight_decay", "label_smoothing", "clip",
            "precision", "seed", "network", "preprocessing"}


def saved_settings(run):
    try:
        with open(os.path.join(run, "settings.json"), encoding="utf-8") as file:
            settings = json.load(file)
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{run} holds no run that could be resumed (no readable settings.json)") from None
    if not isinstance(settings, dict) or set(settings) != SETTINGS:
        raise InputError(f"{run}/settings.json is not of this version of train_loop.py: start a new run")
    return argparse.Namespace(**settings | {"out": run})
