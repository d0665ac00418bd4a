"""Packages that load their parts when these are first used: a program can say `--help` without TensorFlow."""

import importlib


def exports(package, modules):
    """`__getattr__` for a package (PEP 562).

    modules  {module of the package: the names that the package has from it}; no name is a module's
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def get(name):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{home[name]}"), name)

    return get
