"""Which dtype the hardware computes fastest in."""

from ops.quiet_tensorflow import tf


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
