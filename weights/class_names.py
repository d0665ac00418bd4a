"""The names of a network's classes, from where people have them."""

import json
import os
from dataclasses import replace
from numbers import Integral

from cam_base import WNID, Category, InputError, open_regular
from cam_base.files import is_utf8
from cam_base.terminal import counted

LARGEST = 1 << 24  # bytes of a file of names
TRAINING = "train", "training"  # what people call the folder of the pictures that are trained on


def read_class_names(path):
    """A list of Categories, in the order of the logits.

    path  a text file with a name in each line, or a wnid and words; a JSON file with a list, or with a
          dictionary of names and numbers either way round (class_to_idx, id2label); or a folder of
          training data, which has a folder for each class

    Raises InputError for what is none of these.
    """
    if os.path.isdir(path):
        return _of_folder(path)
    try:
        with open_regular(path, LARGEST) as file:
            text = file.read().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text in UTF-8; give a name in each line, or JSON") from None
    names = names_in_order(_json(text)) if text.lstrip()[:1] in ("[", "{") else [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise InputError(f"{path}: no names of classes: give one in each line, a JSON list, or a dictionary of names and numbers from 0")
    return _categories(path, names)


def renamed(weights, path):
    """Weights with the names of classes that a file or folder has; InputError for another number of them."""
    classes = read_class_names(path)
    if len(classes) != len(weights.classes):
        raise InputError(f"{path} names {counted(len(classes), 'class')}, and the network has {len(weights.classes)}"
                         + (": of one logit, first the one that it speaks against" if len(weights.classes) == 2 else ""))
    return replace(weights, classes=classes)


def _json(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of_folder(path):
    names = _folders(path)
    training = next((name for name in names if name.casefold() in TRAINING), None)
    names = names if training is None else _folders(os.path.join(path, training))
    if not names:
        raise InputError(f"{path}: a folder without a folder for each class")
    return _categories(path, names)


def _categories(path, names):
    for name in names:
        if not is_utf8(name):
            raise InputError(f"{path}: the class {ascii(name)[:60]} has letters that UTF-8 has not: rename it")
    return [category_called(name) for name in names]


def _folders(path):
    return sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith((".", "__")))


def names_in_order(held):
    """Names in the order of their numbers, from a list or from a dictionary either way round; None for anything else."""
    if isinstance(held, dict):
        turned = all(isinstance(value, Integral) for value in held.values())  # {name: number}
        pairs = [(value, key) if turned else (key, value) for key, value in held.items()]
        pairs = [(int(number) if str(number).isdecimal() and len(str(number)) < 10 else None, name) for number, name in pairs]
        if any(number is None for number, _ in pairs) or sorted(number for number, _ in pairs) != list(range(len(pairs))):
            return None
        held = [name for _, name in sorted(pairs, key=lambda pair: pair[0])]
    good = isinstance(held, list) and held and all(isinstance(name, str) and 0 < len(name) < 1000 and is_utf8(name) for name in held)
    return held if good else None


def categories_of(classes):
    """A list of Categories of what a caller names classes by.

    classes  names, (wnid, words) pairs or Categories, in the order of the logits: a list, a tuple, an array. Or a dictionary of names
             and numbers from 0, in any order and either way round, as Keras' `class_indices` and `class_to_idx`

    Raises ValueError for what has no order, or is no name.
    """
    classes = classes.tolist() if hasattr(classes, "tolist") else classes
    if isinstance(classes, (str, bytes, set, frozenset)):
        raise ValueError(f"classes is a {type(classes).__name__}: give a list of names, in the order of the logits")
    if isinstance(classes, dict):
        names = names_in_order(classes)
        if names is None:
            raise ValueError(f"classes is a dictionary of {len(classes)}, and not of names and the numbers 0 to {len(classes) - 1}")
    else:
        names = list(classes)
    pairs = [(None, one) if isinstance(one, str) else one for one in names]
    for number, pair in enumerate(pairs):
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str | None) and isinstance(pair[1], str)):
            raise ValueError(f"class {number} is {names[number]!r}: neither a name nor a pair of wnid and words")
    return [Category(*pair) for pair in pairs]


def category_called(name):
    """A Category of a class's name, which may be a wnid, with its words behind it or not."""
    wnid, _, words = name.replace("\t", " ").partition(" ")
    return Category(wnid, words.strip() or wnid) if WNID.fullmatch(wnid) else Category(None, name)
