"""Classes as people name them. Which class of a network a name is: by wnid, else by words, never by number."""

import difflib
from typing import NamedTuple

import numpy as np

from cam_base.errors import InputError


class Category(NamedTuple):
    """A class as people name it: WordNet id (None where there is none) and words."""

    wnid: str | None
    label: str


def match_classes(ours, theirs):
    """For each category of a data set, the number of the weights' class, or -1 for none: int [len(theirs)].

    ours: the weights' categories; theirs: the data set's. Where both have
    wnids these decide; else the whole label, else a synonym that both have, each
    unless it stands twice.
    """
    by_wnid = {category.wnid: number for number, category in enumerate(ours) if category.wnid}
    labels, synonyms = [{label.lower()} for _, label in ours], [_synonyms(label) for _, label in ours]

    def match(wnid, label):
        if wnid and by_wnid:
            return by_wnid.get(wnid, -1)
        for wanted, names in (({label.lower()}, labels), (_synonyms(label), synonyms)):
            found = [number for number, known in enumerate(names) if wanted & known]
            if len(found) == 1:
                return found[0]
        return -1

    return np.array([match(*category) for category in theirs])


def _synonyms(label):
    """{"tabby", "tabby cat"} of "tabby, tabby cat"."""
    return {part.strip().lower() for part in label.split(",") if part.strip()}


def find_class(classes, name):
    """The number of the one class called `name`: a wnid, a whole label, or one of its synonyms.

    Raises InputError for a name that is unknown (with the nearest ones) or
    belongs to several classes (with their wnids).
    """
    wanted = name.strip().lower()
    synonyms = [_synonyms(label) | ({wnid} if wnid else set()) for wnid, label in classes]
    names = [known | {label.strip().lower()} for known, (_, label) in zip(synonyms, classes)]
    matches = [number for number, known in enumerate(names) if wanted in known]
    if len(matches) == 1:
        return matches[0]
    if matches:
        choices = ", ".join(f"{classes[n].wnid or n} ({classes[n].label})" for n in matches)
        raise InputError(f"{name!r} is the name of {len(matches)} classes; say which by wnid: {choices}")
    near = difflib.get_close_matches(wanted, sorted(set().union(*synonyms)), 4, 0.5)
    raise InputError(f"no class of these weights is called {name!r}"
                     + (f"; the nearest names are: {', '.join(near)}" if near else ""))
