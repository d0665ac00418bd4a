"""What is no file with an end, and a limit for tests that could wait for it."""

import contextlib
import os
import signal

import pytest

if not hasattr(os, "mkfifo"):
    pytest.skip("this system has no pipes that lie in folders", allow_module_level=True)
KINDS = {"pipe": os.mkfifo, "link to a device": lambda path: os.symlink("/dev/zero", path)}


def replace(path, kind):
    """Put an endless thing in the place of a file."""
    if os.path.lexists(path):
        os.remove(path)
    KINDS[kind](path)


@contextlib.contextmanager
def soon(seconds=3):
    """TimeoutError unless what is inside ends within this time."""
    def too_late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
