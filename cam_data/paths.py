"""Names of files as data sets write them, which may be hostile or come from Windows."""

import re


def plain_path(name):
    """A path below a folder with forward slashes; None for one that would lead out of it."""
    name = name.replace("\\", "/")
    if not name or "\0" in name or not is_text(name) or name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
        return None
    return name


def is_text(name):
    """Whether a name can be written as UTF-8: JSON may hold halves of letters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
