"""Import this first: TensorFlow greets with a page of notices before its own log level holds.

Set TF_CPP_MIN_LOG_LEVEL yourself to see them (0 shows all: useful when a GPU is not found).
"""

import os

if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") == "3":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    standard_error = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
