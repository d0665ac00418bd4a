"""Whether what `import ops` finds is this project's."""

import importlib.util
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def refuse_namesakes(*rooms):
    """ImportError where `import` finds, by one of these names of packages of this project, a module of somebody else's.

    It says so before anything of that is run: a file of the user's called ops.py, say, beside the program that they started.
    """
    for room in rooms:
        if room in sys.modules:
            found = getattr(sys.modules[room], "__file__", None)
        else:
            found = getattr(importlib.util.find_spec(room), "origin", None)
        if found is None or os.path.realpath(found) != os.path.realpath(os.path.join(ROOT, room, "__init__.py")):
            raise ImportError(f"`import {room}` finds {found or 'no package'}, where {os.path.join(ROOT, room)} is needed: give that file "
                              "another name, or put this project in front of its folder on Python's path", name=room)
