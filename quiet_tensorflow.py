"""Import this first: TensorFlow greets with a page of notices before its own log level holds.

Set TF_CPP_MIN_LOG_LEVEL yourself to see them (0 shows all: useful when a GPU is not found).
"""

import os
import signal

interrupt, standard_error = signal.getsignal(signal.SIGINT), os.dup(2)
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3":
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
if interrupt is signal.default_int_handler:
    # Ctrl-C in the seconds that the import takes ends the program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    import tensorflow  # noqa: F401
finally:
    os.dup2(standard_error, 2)
    os.close(standard_error)
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
