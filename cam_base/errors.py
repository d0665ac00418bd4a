"""The one exception that stands for a mistake in what the user gave us."""


class InputError(ValueError):
    """Says in one line what is wrong, where, and what to do; programs print it and exit with 2."""


def first_line(error):
    """What an exception, or its message, says, without the name of TensorFlow's operation."""
    text = error if isinstance(error, str) else getattr(error, "message", None) or str(error)
    nothing = "unknown error" if isinstance(error, str) else type(error).__name__
    line = (text.strip() or nothing).splitlines()[0].split("}} ")[-1].split(" [Op:")[0]
    return line if len(line) <= 200 else line[:197] + "..."
