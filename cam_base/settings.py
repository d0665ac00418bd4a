"""A program's settings as a dataclass: defaults, bounds and help stand beside each other, once.

    @dataclass
    class Settings:
        threshold: float = option(0.2, "of the box, as a share of the maximum", least=0, below=1)

    settings = parse(Settings, arguments, "localize.py", "Class activation maps of pictures.")

A field `top_classes` is the option --top-classes; a bool one is a switch. A list
takes several values: at once where `values` says how many, else one each time it is given.
"""

import argparse
import math
from dataclasses import asdict, field, fields

from .errors import InputError
from .terminal import Parser


def option(default, help, *, kind=None, name=None, least=None, below=None, choices=None, metavar=None, group=None,
           values=None, bare=None, positional=False):
    """A field of a settings class.

    kind     type of a value, where the default does not tell it: a function of a string
    name     of the option, where it is not the field's
    least    its smallest value; below: what it must be less than. Of a list: of each value
    values   how many values a list takes: a number, "+", "*"; "?" for an option whose value may be left out,
             which is then `bare`
    """
    about = {"help": help, "kind": kind, "name": name, "least": least, "below": below, "choices": choices,
             "metavar": metavar, "group": group, "values": values, "bare": bare, "positional": positional}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=about)
    return field(default=default, metadata=about)


def parse(settings, arguments, program, description):
    """(an instance of the settings class, the names of the fields that were given).

    Raises InputError for options that are not known, given twice, or out of bounds.
    """
    parser = Parser(prog=program, description=description)
    add_options(parser, settings)
    namespace = parser.parse_args(arguments)
    return chosen_of(namespace, settings), set(vars(namespace).get("given", ()))


def add_options(parser, settings):
    """Give an argparse parser the options of a settings class."""
    groups = {}
    blank = settings()
    for entry in fields(settings):
        about = entry.metadata
        title = about["group"]
        if title and title not in groups:
            groups[title] = parser.add_argument_group(title)
        _add(groups.get(title, parser), entry, getattr(blank, entry.name))


def chosen_of(namespace, settings):
    """An instance of the settings class from what such a parser found; InputError for what is out of bounds."""
    chosen = settings(**{entry.name: getattr(namespace, entry.name) for entry in fields(settings)})
    for entry in fields(settings):
        check_bounds(entry, getattr(chosen, entry.name))
    return chosen


def without_defaults(values, settings):
    """{name: value} of those that say something: neither None nor what a settings class has where nothing is given."""
    plain = asdict(settings())
    return {name: value for name, value in values.items() if value is not None and value != plain.get(name)}


def flag(entry):
    """The option of a field, as it is typed."""
    return entry.metadata["name"] or "--" + entry.name.replace("_", "-")


def check_bounds(entry, value):
    """InputError unless a field's value, or each of its values, lies within its bounds."""
    least, below = entry.metadata["least"], entry.metadata["below"]
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, (int, float)) or isinstance(one, bool):
            continue
        # An int may be too large for math.isfinite.
        if isinstance(one, float) and not math.isfinite(one) or least is not None and one < least or below is not None and one >= below:
            bounds = [f"at least {least}"] * (least is not None) + [f"less than {below}"] * (below is not None)
            raise InputError(f"{flag(entry)} is {one}; it must be {' and '.join(bounds) or 'finite'}")


def _add(parser, entry, default):
    about = entry.metadata
    common = {"help": about["help"], "default": default}
    if isinstance(default, bool):
        parser.add_argument(flag(entry), dest=entry.name, action=_Switch, **common)
        return
    common |= {key: about[name] for key, name in (("choices", "choices"), ("metavar", "metavar"), ("nargs", "values"), ("const", "bare"))
               if about[name] is not None}
    kind = about["kind"] or (str if default is None or isinstance(default, list) else type(default))
    if about["positional"]:
        parser.add_argument(entry.name, type=kind, action=_Once, **common)
        return
    repeated = isinstance(default, list) and about["values"] is None
    parser.add_argument(flag(entry), dest=entry.name, type=kind, action=_Each if repeated else _Once, **common)


class _Once(argparse.Action):
    """Keeps a value, notes that it was given, and refuses a second one."""

    def __call__(self, parser, namespace, value, option_string=None):
        given = vars(namespace).setdefault("given", [])
        if self.dest in given and option_string:
            parser.error(f"{option_string} is given twice")
        if option_string or value != self.default:
            given.append(self.dest)
        setattr(namespace, self.dest, value)


class _Each(argparse.Action):
    """Keeps one more value each time."""

    def __call__(self, parser, namespace, value, option_string=None):
        vars(namespace).setdefault("given", []).append(self.dest)
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [value] if before is self.default else [*before, value])


class _Switch(_Once):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, nargs=0, **options)

    def __call__(self, parser, namespace, value, option_string=None):
        super().__call__(parser, namespace, True, option_string)
