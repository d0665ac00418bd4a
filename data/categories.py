"""Which class of a network a name or a data set's class is: by wnid, else by words, never by number."""

import difflib

import numpy as np

from weights import InputError


def match_classes(ours, theirs):
    """For each category of a data set, the number of the weights' class, or -1 for none: int [len(theirs)].

    ours: the weights' categories; theirs: the data set's. Where both have
    wnids these decide; else the label, unless it stands twice.
    """
    by_wnid = {category.wnid: number for number, category in enumerate(ours) if category.wnid}
    labels = [category.label.lower() for category in ours]
    matches = []
    for wnid, label in theirs:
        if wnid and by_wnid:
            matches.append(by_wnid.get(wnid, -1))
        else:
            label = label.lower()
            matches.append(labels.index(label) if labels.count(label) == 1 else -1)
    return np.array(matches)


def find_class(classes, name):
    """The number of the one class called `name`: a wnid, a whole label, or one of its synonyms.

    Raises InputError for a name that is unknown (with the nearest ones) or
    belongs to several classes (with their wnids).
    """
    wanted = name.strip().lower()
    names = [{part.strip().lower() for part in (label, *label.split(","))} | ({wnid} if wnid else set())
             for wnid, label in classes]
    matches = [number for number, known in enumerate(names) if wanted in known]
    if len(matches) == 1:
        return matches[0]
    if matches:
        choices = ", ".join(f"{classes[n].wnid or n} ({classes[n].label})" for n in matches)
        raise InputError(f"{name!r} is the name of {len(matches)} classes; say which by wnid: {choices}")
    near = difflib.get_close_matches(wanted, sorted(set().union(*names)), 4, 0.5)
    raise InputError(f"no class of these weights is called {name!r}"
                     + (f"; the nearest names are: {', '.join(near)}" if near else ""))
