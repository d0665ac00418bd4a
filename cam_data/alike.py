"""Names of classes as people type them: what differs by case, by blanks or by the form of its letters alone is one class."""

from cam_base import folded
from cam_base.terminal import say_once


def called(source, names):
    """{name: that of its class} of all names: of those that are alike the first, which is said of `source`."""
    alike = {}
    for name in names:
        alike.setdefault(folded(name), {})[name] = None
    for same in alike.values():
        if len(same) > 1:
            say_once(f"{source}: {' and '.join(map(repr, same))} are taken for one class: they differ by case, blanks or "
                     "the form of letters alone")
    return {name: next(iter(same)) for same in alike.values() for name in same}


def classes_of(source, names):
    """(the names of the classes, sorted; {name: the number of its class}) of names of which some may be alike, see `called`."""
    classes = called(source, names)
    numbers = {name: number for number, name in enumerate(sorted(set(classes.values())))}
    return list(numbers), {name: numbers[classes[name]] for name in names}
