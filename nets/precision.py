"""Which dtype a network is fastest in."""

from ops.quiet_tensorflow import tf
from .building import class_of


def fastest_precision(config):
    """"bfloat16" or "float32", for the network of `nets.build`'s arguments.

    TensorFlow has no fast depthwise convolution in bfloat16 on CPUs, nor its gradient: a
    network that is made of them takes twice the time (bench/precision.py).
    """
    try:
        depthwise = getattr(class_of(config), "depthwise", False)
    except ValueError:  # whoever builds it will say why
        depthwise = False
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    return "bfloat16" if hardware_has_bfloat16() and (on_gpu or not depthwise) else "float32"


def hardware_has_bfloat16():
    """Whether bfloat16 products are native: an NVIDIA GPU of compute capability 8, or a CPU that says so."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0,))[0] >= 8
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = file.read(8192).split()
        return "amx_bf16" in flags or "avx512_bf16" in flags
    except OSError:
        return False
