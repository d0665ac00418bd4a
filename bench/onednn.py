"""What oneDNN brings on this machine, and what one picture costs beside its share of a batch.

    python bench/onednn.py
    python bench/onednn.py --isa AVX2      # as on a CPU without AVX-512

Each round starts a process without oneDNN and one with it, in turn, since TensorFlow asks once. A process times, in milliseconds a
picture (medians): a training step of the default ResNet at batch 32 in float32, the forward pass of the default network at
batch 1, 2 and 32, `localizer(picture)`, and a picture's share of `localizer.stream` in batches of 32.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

FORWARD, CALL, SHARE = "forward, batch {}", "localizer(picture)", "localizer.stream, batch 32"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--isa", help="ONEDNN_MAX_CPU_ISA: the newest instructions that oneDNN may take")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured()))
        return
    found = {"0": [], "1": []}
    for _ in range(options.rounds):
        for setting, rounds in found.items():
            environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": setting, "TF_CPP_MIN_LOG_LEVEL": "3"}
            if options.isa:
                environment["ONEDNN_MAX_CPU_ISA"] = options.isa
            lines = subprocess.run([sys.executable, __file__, "--one"], env=environment, check=True, capture_output=True, text=True).stdout
            rounds.append(json.loads(lines.splitlines()[-1]))
    without, with_it = ({name: statistics.median(one[name] for one in rounds) for name in rounds[0]} for rounds in found.values())
    print(f"{'ms a picture':28}{'without':>9}{'oneDNN':>9}{'ratio':>8}")
    for name in without:
        print(f"{name:28}{without[name]:9.1f}{with_it[name]:9.1f}{with_it[name] / without[name]:8.2f}")
    for what, setting in (("without oneDNN", without), ("with oneDNN", with_it)):
        best = min(setting[FORWARD.format(batch)] for batch in (2, 32))
        print(f"{what}: one picture's forward is {setting[FORWARD.format(1)] / best:.2f} times its share of the best batch, "
              f"{CALL} {setting[CALL] / setting[SHARE]:.2f} times its share of the stream")


def measured():
    """{what: milliseconds a picture} in this process."""
    import numpy as np

    import cam_training
    import localization
    import nets
    from cam_training.settings import parse
    from ops.quiet_tensorflow import tf

    def milliseconds(way, pictures, rounds):
        for _ in range(3):  # traces
            way()
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            way()
            times.append(time.perf_counter() - start)
        return 1000 * statistics.median(times) / pictures

    rng, times = np.random.default_rng(0), {}
    settings, *_ = parse(["--precision", "float32", "--epochs", "1"])
    side = settings.preprocessing["size"]
    trainer = cam_training.Trainer(nets.build(settings.network, 10), settings, 100, b"")
    inputs, labels = tf.constant(rng.normal(size=(32, side, side, 3)), tf.float32), tf.constant(rng.integers(10, size=32), tf.int32)
    times["training step, batch 32"] = milliseconds(lambda: trainer.step(inputs, labels).numpy(), 32, 9)
    localizer = localization.load()
    for batch, rounds in ((1, 21), (2, 15), (32, 7)):
        view = tf.constant(rng.normal(size=(batch, localizer.viewing.size, localizer.viewing.size, 3)), tf.float32)
        times[FORWARD.format(batch)] = milliseconds(
            lambda view=view: localizer.class_maps(view, lambda chances: localization.top_classes(chances, 3)), batch, rounds)
    picture = str(ROOT / "samples" / "chelsea.jpg")
    times[CALL] = milliseconds(lambda: localizer(picture), 1, 21)
    times[SHARE] = milliseconds(lambda: list(localizer.stream([picture] * 96, 32)), 96, 3)
    return times


if __name__ == "__main__":
    main()
