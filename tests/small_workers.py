"""Trainings of a few seconds in processes of their own: one, or several that train together over the loopback.

Run as a program it is train_loop.py with a network of two convolutions with batch norm as `--network alexnet`, on
LOGICAL_CPUS devices, and without the report at the end.
"""

import json
import os
import socket
import subprocess
import sys
import time

from small_sets import class_folders

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BATCH, STEPS = 8, 5  # the last: of an epoch
SECONDS = 150


def main():
    from ops.quiet_tensorflow import tf  # before small_training, whose import is not quiet

    import nets
    import train_loop
    from nets.layers import BatchNorm, Conv, initial_numbers
    from small_training import TinyNet

    class NormalisedNet(TinyNet):
        """TinyNet with batch norm, in front of which lies a mean that is large for its deviation."""

        def __init__(self, classes, *, head="gap", seed=0):
            super().__init__(classes, head=head, seed=seed or 0)
            rng = initial_numbers(0)
            self.conv2 = Conv(4, 4, 3, bias=True, rng=rng)
            self.conv1.bias.assign([20.0, -20.0, 5.0, 0.0])
            self.norm1, self.norm2 = BatchNorm(4), BatchNorm(4)

        def __call__(self, pictures, training=False):
            x = tf.nn.relu(self.norm1(self.conv1(pictures), training))
            features = tf.nn.relu(self.norm2(self.conv2(x), training))
            pooled = tf.reduce_mean(tf.cast(features, tf.float32), [1, 2])
            return self.head(pooled), {"features": features, "pooled": pooled}

    nets.NETWORKS["alexnet"] = NormalisedNet
    train_loop.report = lambda *_: None
    devices = int(os.environ.get("LOGICAL_CPUS", "1"))
    if devices > 1:
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * devices)
    train_loop.command()


def pictures_of(root):
    """Two classes of 21 pictures to train on, which make five steps and two pictures that are left over, and three to judge by."""
    class_folders(root / "train", {"cat": 21, "dog": 21})
    class_folders(root / "val", {"cat": 3, "dog": 3})
    return str(root)


def new_run(data, out, *options, epochs=3, precision="float32"):
    """Arguments of a training of the small network."""
    return ["--network", "alexnet", "--size", "24", "--batch", BATCH, "--precision", precision, "--learning-rate", "0.05", "--data", data, "--out", out,
            "--epochs", epochs, *options]


def start(arguments, config=None, **environment):
    """One process; config: its TF_CONFIG."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"} | environment
    environment |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2", "PYTHONPATH": ROOT}
    if config is not None:
        environment["TF_CONFIG"] = config if isinstance(config, str) else json.dumps(config)
    return subprocess.Popen([sys.executable, os.path.abspath(__file__), *map(str, arguments)], cwd=ROOT, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def start_workers(*arguments, chief=False):
    """As many workers that train together as there are lists of arguments; the first one may be of the kind "chief"."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in arguments]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    cluster = {"chief": addresses[:1], "worker": addresses[1:]} if chief else {"worker": addresses}
    tasks = [{"type": kind, "index": index} for kind in cluster for index in range(len(cluster[kind]))]
    return [start(given, {"cluster": cluster, "task": task}) for given, task in zip(arguments, tasks)]


def end(*processes):
    """(status, standard output, standard error) of each; they are killed where one takes too long."""
    try:
        said = [process.communicate(timeout=SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, said)]


def wait_for_epochs(run, count, process):
    """Until the run's log has so many lines."""
    until = time.monotonic() + SECONDS
    log = os.path.join(run, "log.jsonl")
    while not os.path.exists(log) or open(log, "rb").read().count(b"\n") < count:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)


if __name__ == "__main__":
    main()
