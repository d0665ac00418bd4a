"""What lies in a folder and is not taken for a picture, counted: nobody should have to wonder where files have gone."""

import os
from collections import Counter

from .walking import is_picture

NONE = "without an ending"


def files_not_taken(folder, known=()):
    """{ending: how many files below a folder are called like no picture}, the most frequent first.

    known  endings, or whole names, that are left uncounted: of what the folder's form reads, or what programs write
    Hidden files and folders are not counted; links to folders are not followed.
    """
    endings = Counter()
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            ending = os.path.splitext(name)[1].lower() or NONE
            if not name.startswith(".") and not is_picture(name) and name not in known and ending not in known:
                endings[ending] += 1
    return dict(sorted(endings.items(), key=lambda item: (-item[1], item[0] == NONE, item[0])))


def in_words(endings, most=5):
    """"3 .dcm, 1 .txt" of what `files_not_taken` counts; "" of nothing."""
    often = list(endings.items())
    shown = [f"{count} {ending}" for ending, count in often[:most]]
    rest = sum(count for _, count in often[most:])
    return ", ".join(shown + [f"and {rest} more"] * bool(rest))
