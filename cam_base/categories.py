"""Classes as people name them. Which class of a network a name is: by wnid, else by words, never by number."""

import difflib
import itertools
import re
import unicodedata
from collections import Counter
from typing import NamedTuple

import numpy as np

from .errors import InputError

WNID = re.compile(r"n\d{8}")


class Category(NamedTuple):
    """A class as people name it: WordNet id (None where there is none) and words."""

    wnid: str | None
    label: str


def folded(name):
    """As names of classes and files are compared: composed (NFC), without case, and without blanks around it or twice within."""
    return unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", name).casefold().split()))


def match_classes(ours, theirs):
    """For each category of a data set, the number of the weights' class, or -1 for none: int [len(theirs)].

    ours: the weights' categories; theirs: the data set's. Where both have
    wnids these decide; else the whole label, then that `folded`, then a synonym
    that both have, then the words alone ("001.Black_footed_Albatross", as CUB-200-2011's folders
    are called, is "Black footed Albatross"), each unless it stands twice.
    """
    by_wnid = {category.wnid: number for number, category in enumerate(ours) if category.wnid}
    kinds = (lambda label: {label}, lambda label: {folded(label)}, _synonyms, lambda label: {_plain(re.sub(r"^[0-9]+\.", "", label))})
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
    return {folded(part) for part in label.split(",") if part.strip()}


def classes_called(classes, name):
    """The numbers of the classes that a name stands for, in order: at least one.

    name  a wnid, a label or one of its synonyms; else words of a name, with or without an article, an underscore for a
          blank: whole words ("snake" is no part of "kingsnake"), and where they end every name of a class in which they
          stand, of such classes alone: "cat" is a "tabby cat", not what is called "bear cat" and "cat bear". Else a
          class's number, which may be an int

    Raises InputError for a name that is unknown, with the nearest ones.
    """
    if isinstance(name, (int, np.integer)) and not isinstance(name, bool):
        if not 0 <= name < len(classes):
            raise InputError(f"there is no class {name}; the network's are 0 to {len(classes) - 1}")
        return [int(name)]
    wanted = _plain(str(name))
    found = _classes_of_words(classes, wanted)
    if found:
        return found
    if wanted.isdecimal() and len(wanted) < 10:
        return classes_called(classes, int(wanted))
    if WNID.fullmatch(wanted):
        raise InputError(f"no class of these weights has the wnid {name!r}")
    near = nearest_names(classes, str(name))
    raise InputError(f"no class of these weights is called {name!r}" + (f"; the nearest names are: {', '.join(near)}" if near else ""))


def _classes_of_words(classes, wanted):
    """The numbers of the classes of the first kind that there are any of: called so, whose names end so, in whose names it stands."""
    names = [{_plain(name) for name in _synonyms(label)} for _, label in classes]
    called = [number for number, (wnid, label) in enumerate(classes) if wanted and wanted in names[number] | {wnid, _plain(label)}]
    if called or not wanted or wanted.isdecimal():  # a number is a name as a whole or not at all
        return called
    words = rf"(?<!\w){re.escape(re.sub('^(an?|the) ', '', wanted))}(?!\w)"
    within = [[name for name in known if re.search(words, name)] for known in names]
    ending = [number for number, some in enumerate(within) if some and all(re.search(f"{words}$", name) for name in some)]
    return ending or [number for number, some in enumerate(within) if some]


def nearest_names(classes, name, most=4):
    """Names, or words of names, that are spelt nearly so or begin so, the nearest first."""
    wanted = _plain(name)
    names = set().union(*(_synonyms(label) for _, label in classes))
    known = sorted(names.union(*map(str.split, names)))
    begun = [one for one in known if len(wanted) > 2 and one.startswith(wanted)]
    return [*dict.fromkeys(difflib.get_close_matches(wanted, known, most, 0.7) + begun)][:most]


def short_names(categories):
    """A name for each category by which people can tell it from the others: as many of its label's parts between commas as
    that takes, the first alone where it is nobody else's; behind a label that stands twice, its wnid, or without one its number."""
    starts = [list(itertools.accumulate(label.split(","), "{},{}".format)) for _, label in categories]
    common, labels, twice = (Counter(values) for values in (itertools.chain(*starts), (label for _, label in categories), categories))
    return [next((start for start in some if common[start] == 1), category[1])
            + (f" ({category[0] or number})" if twice[category] > 1 or labels[category[1]] > 1 and category[0] else "")
            for number, (category, some) in enumerate(zip(categories, starts))]


def _plain(name):
    """As names are compared: without case, an underscore as a space."""
    return folded(name.replace("_", " "))
