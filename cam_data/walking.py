"""Pictures in folders and in all below them."""

import os

from cam_base import InputError
from .folder_index import listed

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".j2k")


def is_picture(name):
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def walk_pictures(folder):
    """(folder, sorted names of its pictures), of a folder and, by name, of all below it.

    Links to folders are not followed. Pipes, sockets and devices, and links to them,
    are no pictures; a link to nothing is listed, for its reader to name.
    """
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            names, folders = listed(here, _scan)
        except OSError:
            continue
        yield here, names
        waiting += [os.path.join(here, name) for name in reversed(folders)]


def _scan(folder):
    """[names of its pictures, names of its folders], both sorted."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    return [[entry.name for entry in entries if is_picture(entry.name) and _is_file(entry)],
            [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]]


def _is_file(entry):
    """Whether a directory's entry is a regular file, as far as can be seen, or a link that leads nowhere."""
    try:
        return entry.is_file() or entry.is_symlink() and not os.path.exists(entry.path)
    except OSError:
        return True


def below(folder, file):
    """A file's path below a folder, which ends in a separator, with forward slashes on every system: names are compared between them."""
    name = file[len(folder):] if file.startswith(folder) else os.path.relpath(file, folder)  # relpath takes long for a million of them
    return name.replace(os.sep, "/")


def pictures_below(folder):
    """{path below the folder, with forward slashes and without ending: path} of all its pictures; InputError when there are none."""
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder")
    found, inside = {}, os.path.join(folder, "")
    for path, names in walk_pictures(folder):
        for name in names:
            file = os.path.join(path, name)
            found.setdefault(os.path.splitext(below(inside, file))[0], file)
    if not found:
        raise InputError(f"{folder}: no pictures in this folder")
    return found
