"""How long a training on 1.28 million files takes to start, and its memory: `python bench/ilsvrc_size.py`.

The files are hard links to a few small JPEGs, in a temporary folder that is removed afterwards.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ORIGINALS = 30  # ext4 allows 65,000 links to a file
# Both sets and their fingerprint, and the first of the batches, as train_loop.py makes them.
START = """
import json, sys, time
began = time.perf_counter()
import cam_data, cam_training
from cam_base import Preprocessing
from cam_training.rehearsal import peak_memory
from cam_training.settings import Settings
sets = cam_training.open_data(Settings(data=sys.argv[1]))
opened = time.perf_counter()
cam_training.of_sets(*sets)
known = time.perf_counter()
batches = cam_data.training_batches(sets[0], Preprocessing(size=64), 32, seed=0, epoch=0)
next(batches)
first, memory = time.perf_counter(), [peak_memory()]
while time.perf_counter() - first < float(sys.argv[2]):
    next(batches)
memory.append(peak_memory())
print(json.dumps([opened - began, known - opened, first - known, first - began, *(number / 1e9 for number in memory)]))
"""


def make_tree(root, classes, pictures):
    originals = os.path.join(root, "originals")
    os.makedirs(originals)
    rng = np.random.default_rng(0)
    for number in range(ORIGINALS):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(os.path.join(originals, f"{number}.jpg"))
    for label in range(classes):
        folder = os.path.join(root, "set", f"n{label:08}")
        os.makedirs(folder)
        for number in range(pictures):
            os.link(os.path.join(originals, f"{(label * pictures + number) % ORIGINALS}.jpg"), os.path.join(folder, f"n{label:08}_{number}.JPEG"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=1280, help="of each class")
    parser.add_argument("--seconds", type=float, default=60, help="of the epoch over which memory is watched")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        make_tree(root, options.classes, options.pictures)
        time.sleep(2.5)  # a folder that has just changed is not indexed
        print("              open    fingerprint   first batch   all       peak GB   after the epoch's seconds")
        for name in ("no index", "indexed"):
            done = subprocess.run([sys.executable, "-c", START, os.path.join(root, "set"), str(options.seconds)], cwd=ROOT, check=True,
                                  capture_output=True, env=os.environ | {"XDG_CACHE_HOME": os.path.join(root, "cache")})
            figures = json.loads(done.stdout.splitlines()[-1])
            print(f"{name:10} " + "".join(f"{seconds:8.1f} s  " for seconds in figures[:4]) + "".join(f"{size:8.2f}" for size in figures[4:]), flush=True)


if __name__ == "__main__":
    main()
