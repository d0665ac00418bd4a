"""Miniature picture sets in the layouts that people have, made for a test."""

import os

import numpy as np
from PIL import Image

WORDS = {"n01443537": "goldfish, Carassius auratus", "n02124075": "Egyptian cat", "n07920052": "espresso"}


def write_picture(path, seed, size=(20, 16)):
    """A small PNG whose pixels depend on `seed`; size is width and height."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, "PNG")
    return pixels


def class_folders(root, counts, ending=".png"):
    """root/<class>/<class>-0.png and so on; counts: {class: number of pictures}."""
    for category, count in counts.items():
        os.makedirs(root / category, exist_ok=True)
        for number in range(count):
            write_picture(str(root / category / f"{category}-{number}{ending}"), number)
    return str(root)


def tiny_imagenet(root, train=3, val=2):
    """Tiny ImageNet's official layout: three classes, `train` and `val` pictures of each."""
    wnids = sorted(WORDS, reverse=True)  # the order of the classes is the file's, not the alphabet's
    os.makedirs(root / "val")
    (root / "wnids.txt").write_text("\n".join(wnids) + "\n")
    (root / "words.txt").write_text("n00000001\tother\n" + "".join(f"{w}\t{WORDS[w]}\n" for w in WORDS))
    lines = []
    for number, wnid in enumerate(wnids):
        boxes = []
        for row in range(train):
            write_picture(str(root / "train" / wnid / "images" / f"{wnid}_{row}.JPEG"), 10 * number + row)
            boxes.append(f"{wnid}_{row}.JPEG\t{row}\t1\t{row + 10}\t12\n")
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("".join(boxes))
        for row in range(val):
            file = f"val_{row * len(wnids) + number}.JPEG"
            write_picture(str(root / "val" / "images" / file), 100 + 10 * number + row)
            lines.append(f"{file}\t{wnid}\t0\t0\t{number}\t15\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    return str(root)
