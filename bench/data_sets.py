"""The data of the figures in README and docs, made from what is published.

    python bench/data_sets.py tiny-imagenet-100 tiny-imagenet-200     # as Stanford's zip unpacks
    python bench/data_sets.py ilsvrc-val-400 ILSVRC                   # with Data/CLS-LOC/val, Annotations/CLS-LOC/val
    python bench/data_sets.py cifar10 cifar-10-batches-bin            # as the binary version unpacks

Each writes a folder of that name beside (`--out`: elsewhere). Pictures of the first two are linked to, so theirs must
stay. CIFAR-10's are compressed anew, as ours were: quality 75, half the resolution of colour; by another encoder, so
not to the byte.
"""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from cam_base import InputError
from cam_base.terminal import run_program
from cam_data import open_set
from cam_data.annotations import read_annotation
from cam_data.cifar import find_cifar
from weights import load, resolve
from weights.ilsvrc import categories

NUMBERS = Path(__file__).with_name("ilsvrc_val_400.txt")  # of the pictures, as in ILSVRC2012_val_00000006
QUALITY = 75


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=MAKERS)
    parser.add_argument("source", type=Path, help="the published folder")
    parser.add_argument("--out", type=Path, help="the folder to make (default: the name, here)")
    options = parser.parse_args(arguments)
    out = options.out or Path(options.name)
    if out.exists():
        raise InputError(f"{out}: is there already; remove it, or give another --out")
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        MAKERS[options.name](options.source.resolve(), part)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"{out} is made")
    return 0


def tiny_imagenet(source, out):
    """The classes of the weights in this repository: a list of them, and links to all else."""
    wnids = [category.wnid for category in load(resolve("tiny-imagenet-100")).classes]
    missing = [wnid for wnid in wnids if not (source / "train" / wnid).is_dir()]
    if missing:
        raise InputError(f"{source}: has no train/{missing[0]}; the folder that Stanford's tiny-imagenet-200.zip unpacks to is meant")
    out.mkdir(parents=True)
    for name in ("train", "val", "words.txt"):
        (out / name).symlink_to(source / name)
    (out / "wnids.txt").write_text("\n".join(wnids) + "\n")


def ilsvrc(source, out):
    """Choe et al.'s form, from the XML files: label and boxes of a picture are those of its annotation."""
    numbers = {category.wnid: number for number, category in enumerate(categories(1000))}
    lists = {"image_ids": [], "class_labels": [], "image_sizes": [], "localization": []}
    files = [f"ILSVRC2012_val_{int(number):08d}" for number in NUMBERS.read_text().split()]
    pictures = {file: source / "Data/CLS-LOC/val" / f"{file}.JPEG" for file in files}
    missing = [picture for picture in pictures.values() if not picture.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: no such file; the folder that holds Data/CLS-LOC/val and Annotations/CLS-LOC/val is meant")
    for file, picture in pictures.items():
        found = read_annotation(source / "Annotations/CLS-LOC/val" / f"{file}.xml")
        lists["image_ids"].append(picture.name)
        lists["class_labels"].append(f"{picture.name},{numbers[found.objects[0][0]]}")
        with Image.open(picture) as opened:
            lists["image_sizes"].append(f"{picture.name},{opened.width},{opened.height}")
        # The form's boxes hold their last pixel.
        lists["localization"] += [f"{picture.name},{x0},{y0},{x1 - 1},{y1 - 1}" for _, (x0, y0, x1, y1), _ in found.objects]
    for folder in ("images", "metadata"):
        (out / folder).mkdir(parents=True)
    for picture in pictures.values():
        (out / "images" / picture.name).symlink_to(picture)
    for name, lines in lists.items():
        (out / "metadata" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def cifar10(source, out):
    if find_cifar(str(source)) is None:
        raise InputError(f"{source}: has no data_batch_1.bin; the folder that cifar-10-binary.tar.gz unpacks to is meant")
    for split, folder in (("train", "train"), ("val", "test")):
        rows = open_set(str(source), split)
        names = [category.label for category in rows.categories]
        for name in names:
            (out / folder / name).mkdir(parents=True)
        counts = [0] * len(names)
        for row, label in enumerate(rows.labels.tolist()):
            file = out / folder / names[label] / f"{counts[label]:04d}.jpg"
            Image.fromarray(rows.draw(row, 0)).save(file, quality=QUALITY)
            counts[label] += 1


MAKERS = {"tiny-imagenet-100": tiny_imagenet, "ilsvrc-val-400": ilsvrc, "cifar10": cifar10}

if __name__ == "__main__":
    run_program("data_sets.py", main)
