"""The pictures of a command line."""

import glob
import os
import unicodedata
from collections import Counter

import cam_data
from cam_base import InputError
from cam_base.files import OWN_MARK, is_utf8
from cam_base.terminal import counted, say

# Beside overlays; and what says what the pictures are, as that of the samples.
NO_NEWS = ("localizations.json", "localizations.csv", "report.html", ".npy", "README.md", "labels.csv")
HEAD = 256  # bytes of a file, in which OWN_MARK is


def find_pictures(places):
    """Files, folders (all pictures below them) and globs, as a list of files."""
    files = []
    for place in places:
        if os.path.isdir(place):
            found = sorted(os.path.join(folder, name) for folder, names in cam_data.walk_pictures(place) for name in names)
            others = cam_data.in_words(cam_data.files_not_taken(place, NO_NEWS))
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
    """A name without ending for each picture, which all that is written of it has, and nothing of another's: that of its file,
    without the ending, unless pictures of this name have several endings; with a number where several pictures have it, or a
    file that is not ours has it already.

    places    {ending: folders} of what is written
    pictures  all of them
    """

    LONGEST = 255  # bytes of a file's name, on most file systems
    ROOM = len("-123456")

    def __init__(self, places, pictures):
        self.endings, self.taken, self.next = list(places), set(), {}  # the number of the next picture of a name
        parents = {parent: os.path.realpath(parent) for parent in set(map(os.path.dirname, pictures))}
        for ending, folders in places.items():
            folders = set(map(os.path.realpath, folders))
            self.taken |= {_key(os.path.basename(picture)) for picture in pictures if parents[os.path.dirname(picture)] in folders}
            there = {os.path.join(folder, name): name for folder in folders for name in names_in(folder)
                     if name.lower().endswith(ending) and cam_data.is_picture(name)}
            self.taken |= {_key(name) for path, name in there.items() if os.path.isfile(path) and not is_own(path)}
        files = {_key(name): name for name in map(os.path.basename, pictures)}.values()
        stems = Counter(_key(os.path.splitext(name)[0]) for name in files)
        self.alike = {stem for stem, count in stems.items() if count > 1}
        self.plain = {_key(self._named(name)) for name in files}

    def _named(self, file, number=1):
        stem, own = os.path.splitext(os.path.basename(file))
        own = own if _key(stem) in self.alike else ""
        stem = os.fsencode(stem)[:self.LONGEST - self.ROOM - max(map(len, self.endings)) - len(os.fsencode(own))]
        # A letter of several bytes may have been cut.
        stem = stem.decode(errors="ignore") if is_utf8(file) else os.fsdecode(stem)
        return stem + (f"-{number}" if number > 1 else "") + own

    def free(self, file):
        """The next picture's."""
        name = self._named(file)
        wanted = _key(name)
        number = self.next.get(wanted, 1)
        # With a number it must not be called as another one is without.
        while any(_key(name + ending) in self.taken for ending in self.endings) or number > 1 and _key(name) in self.plain:
            number += 1
            name = self._named(file, number)
        self.next[wanted] = number
        self.taken.update(_key(name + ending) for ending in self.endings)
        return name


def names_in(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []


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
