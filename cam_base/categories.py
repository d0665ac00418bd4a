"""Classes as people name them. Which class of a network a name is: by wnid, else by words, never by number."""

import difflib
import re
from typing import NamedTuple

import numpy as np

from .errors import InputError

WNID = re.compile(r"n\d{8}")


class Category(NamedTuple):
    """A class as people name it: WordNet id (None where there is none) and words."""

    wnid: str | None
    label: str


def match_classes(ours, theirs):
    """For each category of a data set, the number of the weights' class, or -1 for none: int [len(theirs)].

    ours: the weights' categories; theirs: the data set's. Where both have
    wnids these decide; else the whole label, then that whatever its case, then a synonym
    that both have, then the words alone ("001.Black_footed_Albatross", as CUB-200-2011's folders
    are called, is "Black footed Albatross"), each unless it stands twice.
    """
    by_wnid = {category.wnid: number for number, category in enumerate(ours) if category.wnid}
    kinds = (lambda label: {label}, lambda label: {label.lower()}, _synonyms, lambda label: {_plain(re.sub(r"^[0-9]+\.", "", label))})
    numbers = [_numbers_by_name(ours, names_of) for names_of in kinds]

    def match(wnid, label):
        if wnid and by_wnid:
            return by_wnid.get(wnid, -1)
        for names_of, called in zip(kinds, numbers):
            found = set().union(*(called.get(name, ()) for name in names_of(label)))
            if len(found) == 1:
                return found.pop()
        return -1

    return np.array([match(*category) for category in theirs])


def _numbers_by_name(classes, names_of):
    """{name: the numbers of the classes that have it}."""
    found = {}
    for number, (_, label) in enumerate(classes):
        for name in names_of(label):
            found.setdefault(name, set()).add(number)
    return found


def _synonyms(label):
    """{"tabby", "tabby cat"} of "tabby, tabby cat"."""
    return {part.strip().lower() for part in label.split(",") if part.strip()}


LISTED = 12  # names that a message lists


def find_class(classes, name):
    """The number of the one class called `name`.

    A wnid, a whole label or one of its synonyms comes first; else the one class in whose
    names it stands as words ("alligator" in "American alligator"); else the one in whose
    names it stands at all. An underscore is a space.

    Raises InputError for a name that is unknown (with the nearest ones) or
    belongs to several classes (with their wnids).
    """
    matches = classes_called(classes, name)
    if len(matches) == 1:
        return matches[0]
    if matches:
        choices = [f"{classes[n].wnid or n} ({classes[n].label})" for n in matches[:LISTED]]
        more = [f"and {len(matches) - LISTED} more"] * (len(matches) > LISTED)
        raise InputError(f"{name!r} is the name of {len(matches)} classes, or part of it; say which by wnid or number: "
                         + ", ".join(choices + more))
    if WNID.fullmatch(_plain(name)):
        raise InputError(f"no class of these weights has the wnid {name!r}")
    near = difflib.get_close_matches(_plain(name), sorted(set().union(*(_synonyms(label) for _, label in classes))), 4, 0.5)
    raise InputError(f"no class of these weights is called {name!r}"
                     + (f"; the nearest names are: {', '.join(near)}" if near else ""))


def classes_called(classes, name):
    """The numbers of the classes of the first kind that there are any of: called so, with these words, with these letters."""
    wanted = _plain(name)
    names = [_synonyms(label) | {label.strip().lower()} | ({wnid} if wnid else set()) for wnid, label in classes]
    words = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
    kinds = [lambda known: wanted in {_plain(one) for one in known}]
    if wanted and not wanted.isdecimal():  # a number is a name as a whole or not at all
        kinds += [lambda known: any(words.search(_plain(one)) for one in known),
                  lambda known: any(wanted in _plain(one) for one in known)]
    for called in kinds:
        found = [number for number, known in enumerate(names) if called(known)]
        if found:
            return found
    return []


def _plain(name):
    """As names are compared: without case, an underscore as a space."""
    return " ".join(name.replace("_", " ").lower().split())
