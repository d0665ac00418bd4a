"""`--precision auto`: what is faster on this machine, measured once and remembered."""

import hashlib
import json
import os
import platform
from functools import cache

import nets
from cam_base import InputError
from cam_base.files import cache_folder, open_regular, replacing
from cam_base.terminal import say

MOST_BYTES = 1 << 16


@cache
def automatic_precision(name):
    """"bfloat16" or "float32" for a network of `nets.NAMES`, by what was measured now or is remembered; which it says, once in a process."""
    path = os.path.join(cache_folder("cam-localization"), f"precision-{_machine(name)}.json")
    seconds = _remembered(path)
    if seconds is None:
        seconds = nets.measure_precisions({"name": name})
        _remember(path, seconds)
    faster = nets.faster_precision(seconds)
    half = f"{seconds['bfloat16'] / seconds['float32']:.2f} of float32's time" if "bfloat16" in seconds else "not computed on this machine"
    say(f"--precision auto: {faster}; a block of {name} in bfloat16: {half} (measured once, {path})")
    return faster


def _machine(name):
    """A name for what the measurement depends on: the machine, TensorFlow and its settings, and the kind of network."""
    from ops.quiet_tensorflow import tf  # not at the top: `--help` does without

    devices = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in tf.config.list_physical_devices("GPU")]
    about = [name, platform.node(), platform.machine(), _processor(), os.cpu_count(), devices, tf.__version__,
             os.environ.get("TF_ENABLE_ONEDNN_OPTS"), os.environ.get("ONEDNN_MAX_CPU_ISA")]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((line.strip() for line in file.read(8192).splitlines() if line.startswith("model name")), "")
    except OSError:
        return platform.processor()


def _remembered(path):
    """The seconds in a file; None where there is none, or it holds anything else."""
    try:
        with open_regular(path, MOST_BYTES) as file:
            seconds = json.load(file)
        fits = set(seconds) in ({"float32"}, {"float32", "bfloat16"}) and all(0 < float(value) < 1e3 for value in seconds.values())
        return seconds if fits else None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, InputError):
        return None


def _remember(path, seconds):
    try:
        with replacing(path) as file:
            file.write(json.dumps(seconds).encode())
    except (OSError, InputError):  # a cache that cannot be written is measured again
        pass
