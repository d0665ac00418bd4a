"""How the programs speak to people: a console, a progress bar, and an error in one line."""

import argparse
import difflib
import errno
import os
import shlex
import signal
import subprocess
import sys
import unicodedata

from rich.console import Console
from rich.progress import track
from rich.table import Table as RichTable

from .errors import InputError, first_line
from .version import VERSION

INTERRUPTED = 130  # the shell's exit status for Ctrl-C
TERMINATED = 143   # and for SIGTERM
# What asks a program to end: SIGTERM and, where Windows has no other, Ctrl-Break.
TERMINATING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name))
# Of a stream that nobody reads; Windows has EINVAL for a pipe whose other end is closed.
BROKEN = (errno.EPIPE, errno.EBADF, *[errno.EINVAL] * (os.name == "nt"))
# In files and pipes, tables are as wide as their lines ask for. Names of files may hold brackets, which are no markup.
console = Console(width=None if sys.stdout and sys.stdout.isatty() else 1000, markup=False, emoji=False, highlight=False)


_said = set()


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Says the default of an option that has one."""

    def _get_help_string(self, action):
        none = action.default is None or action.default is False or action.default == []
        return action.help if none else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Options whose mistakes are one line, like all others."""

    def __init__(self, **options):
        super().__init__(formatter_class=Help, allow_abbrev=False, **options)
        self.add_argument("--version", action="version", version=f"{self.prog} {VERSION}", help="print the version and end")

    def parse_args(self, arguments=None, namespace=None):
        found, unknown = self.parse_known_args(arguments, namespace)
        if unknown:
            near = nearest_options(unknown[0], self._options())
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + f"; the nearest is {' or '.join(near)}" * bool(near))
        return found

    def _options(self):
        """All that are known, those of commands (`add_subparsers`) among them."""
        commands = [command for action in self._actions if isinstance(action, argparse._SubParsersAction) for command in action.choices.values()]
        return [*self._option_string_actions, *(name for command in commands for name in command._options())]

    def error(self, message):
        raise InputError(f"{message} (--help lists the options)")


def nearest_options(unknown, known, most=3):
    """Those of the known options that an unknown one may stand for: of its initials (--lr), its letters but for a few, its beginning,
    or some of its words (--image-size)."""
    if not unknown.startswith("-"):
        return []
    name = unknown.partition("=")[0].lstrip("-").lower().replace("_", "-")
    words = {option: option[2:].split("-") for option in known if option.startswith("--")}
    initials = [option for option, parts in words.items() if name == "".join(part[:1] for part in parts)]
    if len(name) < 3:
        return initials[:most]
    alike = difflib.get_close_matches(f"--{name}", words, most, 0.8)
    begun = [option for option in words if option[2:].startswith(name) or name.startswith(option[2:])]
    within = [option for option, parts in words.items() if set(parts) <= set(name.split("-"))]
    return list(dict.fromkeys(initials + alike + sorted(begun, key=len) + within))[:most]


def check_least(options, **least):
    """InputError unless each of these options that is given has at least this value."""
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and not value >= bound:
            raise InputError(f"--{name.replace('_', '-')} is {value}; it must be at least {bound}")


def printable(text):
    """The text as a terminal may have it: control characters and what is no character are written out (\\x1b, \\udcff).

    Names of files and classes are anybody's; an escape character in one would
    command the terminal.
    """
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else letter.encode("unicode_escape", "surrogatepass").decode("ascii") for letter in str(text))


def counted(count, what):
    """"1 picture", "3 pictures", "1,000 boxes"."""
    return f"{count:,} {what}" + ("" if count == 1 else "es" if what.endswith(("s", "x")) else "s")


def command_line(*words):
    """Words as this system's shell takes them: on Windows in double quotes, which cmd and PowerShell both know."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def say(text):
    """A line on standard output."""
    print(printable(text), flush=True)


def say_once(text):
    """A line on standard output, unless this process has said it: of a set whose splits are opened one by one."""
    if text not in _said:
        _said.add(text)
        say(text)


def warn(text):
    """A line on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def progress(steps, what="localizing"):
    """Wraps what is iterated over in `steps` steps into a progress bar, where there is something to wait for."""
    return lambda batches: track(batches, what, steps, console=console, transient=True,
                                 disable=steps < 3 or not console.is_terminal)


class Table:
    """Rows for people, of which the first ones are shown."""

    def __init__(self, *columns, most=60):
        self.columns, self.most, self.rows, self.left = columns, most, [], 0

    def add(self, *cells):
        if len(self.rows) < self.most:
            self.rows.append([printable(cell).replace("\n", "\\n") for cell in cells])
        else:
            self.left += 1


def show(table, rest="more"):
    """Print a Table, of which no cell is cut; `rest` says where the rows are that are not shown."""
    shown = RichTable()
    for number, name in enumerate(table.columns):
        # What a row is called stays in one line where that leaves room for others.
        whole = number == 0 and all(2 * len(row[0]) <= console.width for row in table.rows)
        shown.add_column(name, overflow="fold", no_wrap=whole)
    for row in table.rows:
        shown.add_row(*row)
    if table.left:
        shown.add_row(f"and {table.left} more {rest}".strip())
    console.print(shown)


class Stream:
    """Standard output or error that may be closed, or end (`| head -1`): what nobody reads is dropped, the work goes on."""

    def __init__(self, stream, number):
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")
        self._number = number
        if hasattr(self._stream, "reconfigure"):
            self._stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        return self._unless_broken(self._stream.write, text)

    def flush(self):
        self._unless_broken(self._stream.flush)

    def _unless_broken(self, call, *arguments):
        try:
            return call(*arguments)
        except OSError as error:
            if error.errno not in BROKEN:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._number)
            os.close(nowhere)


class Terminated(BaseException):
    """SIGTERM or Ctrl-Break, where a program has not asked for it otherwise."""


def _terminated(*_):
    raise Terminated


def no_memory(error):
    """Whether Python, or TensorFlow, which is not imported here, has run out of memory."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def run_program(program, main, refused=(OSError,)):
    """Exit with main's status; 2 and one line for the user's mistakes and what the system refuses (a full disk)."""
    sys.stdout, sys.stderr = Stream(sys.stdout, 1), Stream(sys.stderr, 2)
    # TensorFlow, not loaded yet, takes oneDNN by itself on CPUs with AVX-512 alone; it is faster on others, too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    for number in TERMINATING:
        signal.signal(number, _terminated)
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        message = str(error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Terminated:
        sys.exit(TERMINATED)
    except refused as error:
        text = f"{error.strerror}: {error.filename}" if getattr(error, "filename", None) else str(error)
        message = text.strip().splitlines()[0][:300]
    except Exception as error:
        if not no_memory(error):
            raise
        message = f"the memory is not enough ({first_line(error)}): a smaller --batch, or smaller pictures, need less"
    warn(f"{program}: {' '.join(message.split())}")
    sys.exit(2)
