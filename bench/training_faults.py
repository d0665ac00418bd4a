"""What training survives: random kills, and damaged checkpoints, each compared with a run that nothing disturbed.

    python bench/training_faults.py
    python bench/training_faults.py --kills 100 --damages 100 --seed 1

A small network is trained on a few drawn files, by `train_loop.py` itself. A killed run is resumed until
it ends; of a damaged one the newest checkpoint is spoilt in one of several ways. Each must come to the same
weights, bit for bit, and to the same log.jsonl but for its times.
"""

import argparse
import collections
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image

import weights
from cam_data import open_synthetic

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 20
SMALL = ["--width", "8", "--size", "32", "--batch", "8", "--precision", "float32", "--epochs", str(EPOCHS)]
LONGEST = 300  # seconds that one run may take


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--damages", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_pictures(place / "pictures")
        begin = ["--data", str(place / "pictures"), *SMALL]
        whole = place / "whole"
        seconds = seconds_of_training(start(*begin, "--out", whole), whole)
        for name, tries, attempt in (("kills", options.kills, killed),
                                     ("damaged checkpoints", options.damages, damaged)):
            counts = collections.Counter()
            for number in range(tries):
                run = place / f"run-{number}"
                said = attempt(rng, run, begin, whole, seconds)
                counts["the same end" if same_end(run, whole) else "ANOTHER END"] += 1
                counts.update(said)
                shutil.rmtree(run)
            said = ", ".join(f"{count} {what}" for what, count in counts.most_common())
            print(f"{tries} {name}: {said}", flush=True)


def write_pictures(root):
    """Drawn pictures as files: four classes."""
    for split, count in (("train", 12), ("val", 3)):
        pictures = open_synthetic(split)
        for row in range(4 * count):
            label = row % 4
            folder = root / split / pictures.categories[label].label
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pictures.draw(row // 4 * 10 + label, 0)).save(folder / f"{row}.png")


def start(*arguments):
    return subprocess.Popen([sys.executable, "train_loop.py", *map(str, arguments)], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def end(program):
    """(exit status, what was said) of a run that is waited for; a traceback counts as status 1."""
    said, _ = program.communicate(timeout=LONGEST)
    return 1 if "Traceback" in said else program.returncode, said


def seconds_of_training(program, run):
    """How long a run takes from the moment at which there is one to its last line of the log."""
    wait_until(lambda: (run / "settings.json").exists(), program)
    began = time.perf_counter()
    wait_until(lambda: len(lines_of(run)) == EPOCHS, program)
    seconds = time.perf_counter() - began
    status, said = end(program)
    if status:
        sys.exit(f"the undisturbed run failed: {said}")
    return seconds


def wait_until(true, program):
    while not true() and program.poll() is None:
        time.sleep(0.01)


def killed(rng, run, begin, whole, seconds):
    """Kill a run at a random moment, then let it end; what is said of it."""
    program = start(*begin, "--out", run)
    wait_until(lambda: (run / "settings.json").exists(), program)
    time.sleep(rng.uniform(0, seconds))
    program.kill()
    program.communicate()
    logged = len(lines_of(run))
    status, said = end(start("--resume", run))
    if status:
        print(said, flush=True)
    left = [*run.rglob(".unfinished-*"), *run.rglob("*_temp*")]
    return [f"killed with {logged} epochs in the log", f"exit status {status}", *["LEFTOVERS"] * bool(left)]


def damaged(rng, run, begin, whole, seconds):
    """Spoil the newest checkpoint of a finished run and resume it; what is said of it."""
    shutil.copytree(whole, run)
    (run / "weights.npz").unlink()  # it has to be made again
    newest = max(int(path.stem.split("-")[1]) for path in (run / "checkpoints").glob("*.index"))
    index, data = run / "checkpoints" / f"ckpt-{newest}.index", next((run / "checkpoints").glob(f"ckpt-{newest}.data*"))
    kind = rng.choice(list(DAMAGES))
    DAMAGES[kind](rng, index, data)
    status, said = end(start("--resume", run))
    if status:
        print(said, flush=True)
    return [kind, f"exit status {status}", *["gone back to the one before"] * ("is damaged" in said)]


def truncate(rng, path):
    path.write_bytes(path.read_bytes()[:rng.randrange(path.stat().st_size)])


def flip(rng, path):
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 10, 100))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def garbage(rng, path):
    path.write_bytes(rng.randbytes(rng.randrange(4096)))


DAMAGES = {
    "index truncated": lambda rng, index, data: truncate(rng, index),
    "data truncated": lambda rng, index, data: truncate(rng, data),
    "index flipped": lambda rng, index, data: flip(rng, index),
    "data flipped": lambda rng, index, data: flip(rng, data),
    "index removed": lambda rng, index, data: index.unlink(),
    "data removed": lambda rng, index, data: data.unlink(),
    "index garbage": lambda rng, index, data: garbage(rng, index),
    "`checkpoint` removed": lambda rng, index, data: (index.parent / "checkpoint").unlink(missing_ok=True),
    "`checkpoint` garbage": lambda rng, index, data: garbage(rng, index.parent / "checkpoint"),
}


def lines_of(run):
    """log.jsonl without what the clock says."""
    path = run / "log.jsonl"
    if not path.exists():
        return []
    return [{name: value for name, value in json.loads(line).items() if "second" not in name}
            for line in path.read_text().splitlines() if line.endswith("}")]


def same_end(run, whole):
    try:
        ours, theirs = (weights.load(folder / "weights.npz") for folder in (run, whole))
    except ValueError:
        return False
    return (ours.tensors.keys() == theirs.tensors.keys()
            and all(np.array_equal(ours.tensors[name], tensor) for name, tensor in theirs.tensors.items())
            and ours.provenance == theirs.provenance and lines_of(run) == lines_of(whole))


if __name__ == "__main__":
    main()
