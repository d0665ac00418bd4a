"""What a program computes on."""

import functools
import os

from ops.quiet_tensorflow import tf


@functools.cache
def prepare_devices():
    """Prepare TensorFlow for a program of its own, and say what it computes on, as in "on 2 CPU cores".

    To be called before anything is computed; after the first time nothing is done. A GPU's memory is
    taken as it is needed; float32 means float32 there, not TF32. Where the system has an NVIDIA driver and TensorFlow finds no GPU, the
    words say so. Untested on GPUs.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        return "on " + ", ".join(names)
    cores = f"on {os.cpu_count()} CPU cores"
    if has_nvidia_driver():
        return (f"{cores}, NOT on the GPU that is there: TensorFlow cannot use it "
                "(pip install 'tensorflow[and-cuda]'; TF_CPP_MIN_LOG_LEVEL=0 shows why)")
    return cores


def has_nvidia_driver():
    return os.path.exists("/proc/driver/nvidia/version") or os.path.exists("/dev/nvidia0")
