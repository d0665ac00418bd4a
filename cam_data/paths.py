"""Names of files as data sets write them, which may be hostile or come from Windows."""

import re

from cam_base.files import is_utf8


def plain_path(name):
    """A path below a folder with forward slashes; None for one that would lead out of it."""
    name = name.replace("\\", "/")
    if not name or "\0" in name or not is_utf8(name) or name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
        return None
    return name
