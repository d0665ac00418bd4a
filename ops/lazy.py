"""What is loaded, or computed, when it is first asked for."""

import importlib
import sys


def exports(package, modules):
    """(`__getattr__`, `__dir__`, `__all__`) of a package (PEP 562) that loads its parts when they are asked for: a program can say
    `--help` without TensorFlow, while `dir`, `help` and tab completion show what there is.

    modules  {module of the package: the names that the package has from it}; no name is a module's
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def get(name):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{home[name]}"), name)

    def listed():
        return sorted([*home, *(name for name in vars(sys.modules[package]) if name.startswith("__"))])

    return get, listed, sorted(home)


class kept_property:
    """`functools.cached_property` without its lock, which in Python 3.11 is one for all instances: threads that each
    look at a picture of their own would wait for each other."""

    def __init__(self, compute):
        self.compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.compute(instance)
        return value
