"""What is loaded, or computed, when it is first asked for."""

import importlib


def exports(package, modules):
    """`__getattr__` for a package (PEP 562), which loads its parts then: a program can say `--help` without TensorFlow.

    modules  {module of the package: the names that the package has from it}; no name is a module's
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def get(name):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{home[name]}"), name)

    return get


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
