"""The 1000 classes of ILSVRC 2012-2014, in the order of their WordNet ids, as all published networks have them."""

import os

from cam_base import Category

TABLE = os.path.join(os.path.dirname(__file__), "ilsvrc_classes.txt")


def categories(count):
    """One Category for each of `count` logits: ILSVRC's for 1000, "class 0" and so on for a head of another size."""
    if count != 1000:
        return [Category(None, f"class {number}") for number in range(count)]
    with open(TABLE, encoding="utf-8") as file:
        return [Category(*line.rstrip("\n").split("\t")) for line in file]
