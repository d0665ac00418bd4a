"""Recipes by name: what `--preset` chooses where an option is not given."""

PRESETS = {
    "cifar10": {"network": "resnet", "depth": 18, "width": 32, "stem": "3x3/1", "output_stride": 8, "size": 32,
                "epochs": 24, "batch": 64, "learning_rate": 0.1, "weight_decay": 5e-4, "schedule": "one-cycle", "warm_up": 5.0,
                "crop": "padded", "cutout": 0.25, "average": 0.999},
    "tiny-imagenet": {"network": "resnet", "depth": 26, "width": 32, "stem": "3x3/2", "output_stride": 8, "size": 64,
                      "epochs": 30, "batch": 64, "learning_rate": 0.1, "weight_decay": 5e-4, "average": 0.999},
    "ilsvrc": {"network": "resnet", "depth": 50, "width": 64, "stem": "7x7/4", "output_stride": 32, "size": 224,
               "epochs": 90, "batch": 256, "learning_rate": 0.1, "weight_decay": 1e-4, "warm_up": 5.0, "first_size": 128,
               "jitter": 0.4, "average": 0.9999},
    "finetune": {"init": "efficientnet-lite1", "batch": 32, "learning_rate": 0.01, "features_rate": 0.1, "weight_decay": 1e-4,
                 "average": 0.99},
}


def chosen(name, given):
    """{option: value} of a preset, but for the options that were given."""
    return {option: value for option, value in PRESETS[name].items() if option not in given} if name else {}


def preset_in_words(settings):
    """A run's preset with all that it says, as the run has it: what was given goes before it."""
    values = vars(settings) | settings.network | {"size": settings.preprocessing["size"], "network": settings.network["name"]}
    said = [f"--{option.replace('_', '-')} {values.get(option)}" for option in PRESETS[settings.preset]]
    return f"--preset {settings.preset}: {' '.join(said)}"
