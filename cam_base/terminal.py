"""How the programs speak to people: a console, a progress bar, and an error in one line."""

import argparse
import sys

from rich.console import Console
from rich.progress import track

from cam_base import InputError

INTERRUPTED = 130  # the shell's exit status for Ctrl-C
# In files and pipes, tables are as wide as their lines ask for. Names of files may hold brackets, which are no markup.
console = Console(width=None if sys.stdout.isatty() else 120, markup=False, emoji=False, highlight=False)


class Parser(argparse.ArgumentParser):
    """Options whose mistakes are one line, like all others."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.ArgumentDefaultsHelpFormatter, **options)

    def error(self, message):
        raise InputError(f"{message} (--help lists the options)")


def check_least(options, **least):
    """InputError unless each of these options that is given has at least this value."""
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and not value >= bound:
            raise InputError(f"--{name.replace('_', '-')} is {value}; it must be at least {bound}")


def progress(steps, what="localizing"):
    """Wraps what is iterated over in `steps` steps into a progress bar, where there is something to wait for."""
    return lambda batches: track(batches, what, steps, console=console, transient=True,
                                 disable=steps < 3 or not console.is_terminal)


def run_program(program, main, refused=(OSError,)):
    """Exit with main's status; 2 and one line for the user's mistakes and what the system refuses (a full disk)."""
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        message = str(error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except refused as error:
        text = f"{error.strerror}: {error.filename}" if getattr(error, "filename", None) else str(error)
        message = text.strip().splitlines()[0][:300]
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(2)
