"""Weights files and pictures that were damaged at random: what becomes of them when they are read.

    python bench/hostile_files.py
    python bench/hostile_files.py --files 500 --seed 7 --keep out/hostile

Good files of every format are damaged in every way: bits flipped, bytes set, cut off, parts of
them (or of another file of their format) laid over others, and numbers made extreme; half of the
time near the beginning or the end, where a file says what it holds. In half of the zip files (.npz, .pth) and
PNGs the check sums are made right again, so that the damage is not noticed by them. Workers read them one after the
other, with bounds on time and memory. Weights that load are laid into their network, which sees a
picture. A table counts the outcomes; hostile_worker.py says what each means. "crashed" is a worker
that died, "hang" one that took more than 20 seconds; both are started anew.
"""

import argparse
import collections
import io
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import h5py
import numpy as np
from hostile_worker import NARROW
from PIL import Image
from rich.console import Console
from rich.table import Table

import weights
from weights import keras_groups, keras_h5
from weights.layout import resnet_units

SECONDS = 20
AT_THE_EDGE = 2048
FIXTURES = ROOT / "tests" / "fixtures"
OUTCOMES = ("loaded", "refused", "traceback", "crashed", "hang", "memory", "run")


# ---------------------------------------------------------------- good files

def good_weights(folder):
    """{format: contents of good files}, of narrow networks."""
    rng = np.random.default_rng(0)
    narrow = FIXTURES / "narrow_resnet26.pth"
    weights.save(folder / "own.npz", weights.load(narrow))
    layers = {name: [rng.random(shape, np.float32), rng.random(shape[3], np.float32)] for name, shape in NARROW.items()}
    np.save(folder / "toronto.npy", layers, allow_pickle=True)
    write_keras(folder / "keras.h5", lambda layer, variable, _: f"{layer}/{layer}/{variable}:0")
    write_keras(folder / "keras3.h5", keras3_path)
    files = {"npz": ["own.npz"], "npy": ["toronto.npy"], "h5": ["keras.h5", "keras3.h5"]}
    contents = {kind: [(folder / name).read_bytes() for name in names] for kind, names in files.items()}
    return contents | {"pth": [narrow.read_bytes()],
                       "safetensors": [(FIXTURES / "narrow_resnet26.safetensors").read_bytes()]}


def keras_layers():
    """Names of a narrow ResNet-26's convolutions as Keras numbers them, and their shapes."""
    layers = [(keras_groups.layer_name(place, part), shape) for place, part, _, _, shape in resnet_units(26, 1)]
    for place, (name, _) in enumerate(layers):
        if name.endswith("_0"):
            layers[place - 1:place + 1] = [layers[place], layers[place - 1]]
    return layers


def keras3_path(layer, variable, number):
    kind = "conv2d" if layer.endswith("_conv") else "batch_normalization"
    variables = ("kernel", "bias") if kind == "conv2d" else tuple(keras_h5.NORM.values())
    return f"layers/{kind}{f'_{number}' if number else ''}/vars/{variables.index(variable)}"


def write_keras(path, place):
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for number, (layer, shape) in enumerate(keras_layers()):
            file[place(f"{layer}_conv", "kernel", number)] = rng.standard_normal(shape, np.float32)
            file[place(f"{layer}_conv", "bias", number)] = rng.standard_normal(shape[3], np.float32)
            for variable in keras_h5.NORM.values():
                file[place(f"{layer}_bn", variable, number)] = rng.random(shape[3], np.float32) + 0.1


def good_pictures():
    """{format: contents of good files}: small, of every kind that the format has."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).resize((96, 64), Image.BICUBIC)
    tags = Image.Exif()
    tags[0x0112] = 6
    frames = {"append_images": [picture.rotate(180).convert("P")], "save_all": True}

    def saved(form, mode="RGB", **options):
        file = io.BytesIO()
        picture.convert(mode).save(file, form, **options)
        return file.getvalue()

    return {"JPEG": [saved("JPEG", exif=tags), saved("JPEG", progressive=True), saved("JPEG", "CMYK"),
                     saved("JPEG", "L")],
            "PNG": [saved("PNG", exif=tags), saved("PNG", "P"), saved("PNG", "RGBA"), saved("PNG", "1")],
            "GIF": [saved("GIF", "P"), saved("GIF", "P", **frames)],
            "BMP": [saved("BMP"), saved("BMP", "L")]}


# ---------------------------------------------------------------- damage

def damage(content, others, rng):
    """A good file's content damaged, with right check sums half of the time."""
    if rng.random() < 0.5:
        if content.startswith(b"PK"):
            return damage_entry(content, others, rng)
        if content.startswith(b"\x89PNG"):
            return with_right_sums(damage_bytes(content, others, rng))
    return damage_bytes(content, others, rng)


def damage_entry(content, others, rng):
    """One entry of a zip file is damaged, and all are packed again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(buffer, "w") as packed:
        names = archive.namelist()
        description = next(name for name in names if name.endswith(("meta.npy", "data.pkl")))
        chosen = rng.choice((rng.choice(names), description))
        for name in names:
            entry = archive.read(name)
            packed.writestr(name, damage_bytes(entry, others, rng) if name == chosen else entry)
    return buffer.getvalue()


def with_right_sums(content):
    """A PNG whose chunks' check sums are right, as far as it has chunks."""
    changed, place = bytearray(content), 8
    while place + 12 <= len(changed):
        end = place + 8 + int.from_bytes(changed[place:place + 4], "big")
        if end + 4 > len(changed):
            break
        changed[end:end + 4] = zlib.crc32(changed[place + 4:end]).to_bytes(4, "big")
        place = end + 4
    return bytes(changed)


def damage_bytes(content, others, rng):
    """Bytes damaged in one way, or sometimes in two."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2))):
        rng.choice((flip, set_bytes, cut, lay_over, join, extreme))(changed, others, rng)
    return bytes(changed)


def somewhere(content, rng):
    """A place in it, half of the time near an end."""
    near = min(AT_THE_EDGE, len(content))
    if rng.random() < 0.5 or not near:
        return rng.randrange(len(content) + 1)
    return rng.choice((rng.randrange(near), len(content) - 1 - rng.randrange(near)))


def flip(content, _, rng):
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = somewhere(content, rng)
        content[place:place + 1] = bytes(byte ^ 1 << rng.randrange(8) for byte in content[place:place + 1])


def set_bytes(content, _, rng):
    place, length = somewhere(content, rng), rng.choice((1, 2, 4, 16))
    content[place:place + length] = bytes([rng.choice((0, 255, 1, 127, 128, rng.randrange(256)))]) * length


def cut(content, _, rng):
    del content[somewhere(content, rng):]


def lay_over(content, others, rng):
    length, source = rng.choice((1, 4, 16, 64, 1024)), rng.choice(others)
    place, begin = somewhere(content, rng), somewhere(source, rng)
    content[place:place + length] = source[begin:begin + length]


def join(content, others, rng):
    """A part is put in between, taken out, or there twice; or the rest is another file's."""
    place, length, source = somewhere(content, rng), rng.choice((1, 4, 64, 1024)), rng.choice(others)
    how = rng.randrange(4)
    if how == 0:
        del content[place:place + length]
    elif how == 1:
        content[place:place] = content[place:place + length]
    elif how == 2:
        content[place:place] = source[:length]
    else:
        content[place:] = source[place:]


def extreme(content, _, rng):
    length, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    number = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, len(content),
                         rng.randrange(len(content) + 1)))
    place = somewhere(content, rng)
    content[place:place + length] = (number % 256**length).to_bytes(length, order)


# ---------------------------------------------------------------- workers

class Worker:
    """A process that reads what it is given, and is started anew when it does not come back."""

    def __init__(self):
        self.process = None

    def read(self, kind, path):
        """What became of one file."""
        if self.process is None:
            self.process = subprocess.Popen([sys.executable, Path(__file__).with_name("hostile_worker.py")],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                            text=True)
        self.process.stdin.write(json.dumps([kind, str(path)]) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], SECONDS)[0]:
            return {"outcome": "hang", "about": f"after {self.stop()} seconds"}
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"outcome": "crashed", "about": f"exit status {self.stop()}"}

    def stop(self):
        self.process.kill()
        status = self.process.wait()
        self.process = None
        return status


def run(worker, kind, good, files, rng, folder, keep):
    """{outcome: count} of so many damaged files of one format, given as contents of good ones."""
    family = "weights" if kind in ("npz", "npy", "h5", "pth", "safetensors") else "picture"
    path, counts = folder / f"damaged.{kind}", collections.Counter()
    for content in good:
        path.write_bytes(content)
        found = worker.read(family, path)
        if found["outcome"] != "loaded":
            raise SystemExit(f"a good file of {kind}: {found}")
    for number in range(files):
        path.write_bytes(damage(rng.choice(good), good, rng))
        found = worker.read(family, path)
        counts[found["outcome"]] += 1
        if found["outcome"] not in ("loaded", "refused"):
            print(f"{kind} {number}: {found['outcome']}: {found['about']}", flush=True)
            if keep:
                os.makedirs(keep, exist_ok=True)
                os.replace(path, Path(keep) / f"{number}-{found['outcome']}.{kind}")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=5000, help="how many damaged files, over all formats")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", metavar="FOLDER", help="where to keep those that were neither loaded nor refused")
    options = parser.parse_args()
    table, rng = Table("format", *OUTCOMES), random.Random(options.seed)
    total, worker = collections.Counter(), Worker()
    with tempfile.TemporaryDirectory() as folder:
        good = good_weights(Path(folder)) | good_pictures()
        for kind, contents in good.items():
            counts = run(worker, kind, contents, -(-options.files // len(good)), rng, Path(folder), options.keep)
            table.add_row(kind, *(str(counts[outcome]) for outcome in OUTCOMES))
            total += counts
        worker.stop()
    table.add_row("all", *(str(total[outcome]) for outcome in OUTCOMES))
    Console().print(table)
    return 1 if set(total) - {"loaded", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main())
