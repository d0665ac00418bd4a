"""`from ops.quiet_tensorflow import tf`: TensorFlow without the page of notices that it greets with.

Set TF_CPP_MIN_LOG_LEVEL yourself to see them (0 shows all: useful when a GPU is not found).
"""

import contextlib
import os
import signal
import threading


@contextlib.contextmanager
def nothing_said():
    """Standard error goes nowhere."""
    try:
        before = os.dup(2)
    except OSError:  # it is closed, as it is for pythonw.exe: nothing can be said there
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


@contextlib.contextmanager
def interrupted_without_traceback():
    """Ctrl-C in the seconds that the import takes ends the program at once."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


LEVEL = "TF_CPP_MIN_LOG_LEVEL"
chosen = os.environ.get(LEVEL)
os.environ[LEVEL] = chosen or "3"
with interrupted_without_traceback(), nothing_said() if os.environ[LEVEL] == "3" else contextlib.nullcontext():
    import tensorflow as tf  # noqa: F401
if chosen is None:
    del os.environ[LEVEL]  # which is the caller's

_process = None  # that has computed


def refuse_fork():
    """RuntimeError in a process that was forked from one that had computed: TensorFlow would wait for threads that are not there."""
    global _process
    _process = _process or os.getpid()
    if os.getpid() != _process:
        raise RuntimeError(f"TensorFlow has computed in process {_process}, from which this one was forked, and cannot do so here: start "
                           "processes by multiprocessing.get_context('spawn') (mp_context= of ProcessPoolExecutor; gunicorn without "
                           "--preload), and load the network in each")
