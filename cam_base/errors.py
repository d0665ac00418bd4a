"""The one exception that stands for a mistake in what the user gave us."""


class InputError(ValueError):
    """Says in one line what is wrong, where, and what to do; programs print it and exit with 2."""
