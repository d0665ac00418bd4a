"""The pictures of a command line."""

import glob
import os
import unicodedata
from collections import Counter

import cam_data
from cam_base import InputError
from cam_base.files import OWN_MARK, is_utf8
from cam_base.terminal import counted, say

WRITTEN = ("localizations.json", "localizations.csv", "report.html", ".npy")  # beside overlays
HEAD = 256  # bytes of a file, in which OWN_MARK is


def find_pictures(places):
    """Files, folders (all pictures below them) and globs, as a list of files."""
    files = []
    for place in places:
        if os.path.isdir(place):
            found = sorted(os.path.join(folder, name) for folder, names in cam_data.walk_pictures(place) for name in names)
            others = cam_data.in_words(cam_data.files_not_taken(place, WRITTEN))
            if not found:
                raise InputError(f"{place}: no pictures in this folder" + (f" ({others})" if others else ""))
            if others:
                say(f"{place}: not taken for pictures: {others}")
        elif os.path.exists(place):
            found = [place]
        else:
            found = sorted(file for file in glob.glob(place, recursive=True) if os.path.isfile(file))
            if not found:
                raise InputError(f"{place}: no such file, and no file matches it")
        files += found
    return files


def without_own(files):
    """The files that this program did not draw; InputError where there are none."""
    pictures = [file for file in files if not is_own(file)]
    if len(pictures) < len(files):
        if not pictures:
            raise InputError(f"{files[0]}: an overlay that localize.py drew, and no other picture is given")
        say(f"Left out {counted(len(files) - len(pictures), 'file')} that localize.py drew")
    return pictures


def is_own(file):
    """Whether a file has the mark; a pipe is not opened."""
    try:
        if not os.path.isfile(file):
            return False
        with open(file, "rb") as opened:
            return OWN_MARK.encode() in opened.read(HEAD)
    except OSError:  # which its reader will say
        return False


class FileNames:
    """Names for what is written of each picture: two pictures called the same get two; none of the pictures is written over.

    folders   to which it is written
    pictures  all of them
    """

    LONGEST = 255  # bytes of a file's name, on most file systems
    ROOM = len("-123456.jpg.npy")

    def __init__(self, folders, pictures):
        folders = set(map(os.path.realpath, folders))
        parents = {parent: os.path.realpath(parent) in folders for parent in set(map(os.path.dirname, pictures))}
        self.next = {}  # number of the next picture of a name
        self.taken = {_key(os.path.basename(picture)) for picture in pictures if parents[os.path.dirname(picture)]}

    def free(self, file, ending, whole=False):
        """The picture's name with another ending, or with one more (`whole`), and a number where that is taken."""
        stem, own = os.path.splitext(os.path.basename(file))
        ending = own + ending if whole else ending
        stem = os.fsencode(stem)[:self.LONGEST - self.ROOM - len(os.fsencode(own))]
        # A letter of several bytes may have been cut.
        stem = stem.decode(errors="ignore") if is_utf8(file) else os.fsdecode(stem)
        name = f"{stem}{ending}"
        wanted = _key(name)
        number = self.next.get(wanted, 2)
        while _key(name) in self.taken:
            name, number = f"{stem}-{number}{ending}", number + 1
        self.next[wanted] = number
        self.taken.add(_key(name))
        return name


def _key(name):
    """The same for names that are one file where a file system does not tell a.JPG from a.jpg, or how an accent is written."""
    return unicodedata.normalize("NFC", name).casefold()


def names_to_show(files):
    """{file: its name for people}: as many last parts of its path as no other picture's path ends with."""
    shown, left, parts = {}, set(files), 1
    while left:
        ends = {file: os.sep.join(file.split(os.sep)[-parts:]) for file in left}
        common = Counter(ends.values())
        shown |= {file: end for file, end in ends.items() if common[end] == 1 or end == file}
        left, parts = left - shown.keys(), parts + 1
    return shown
