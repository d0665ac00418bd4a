"""For all tests: NumPy and SciPy with one thread, and TensorFlow, too, where several workers share the cores.

On cores that others use too, their threads wait for each other: small
problems of linear algebra then take fifty times as long.
"""

import inspect
import os
import platform
import re
import sys
import tempfile

import pytest

# What is remembered for the user's machine is none of the tests' business; for the tests of one machine it is.
os.environ["XDG_CACHE_HOME"] = os.path.join(tempfile.gettempdir(), "cam-localization-tests")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")

# Files with the longest tests, longest first: begun last, one of them would keep one worker busy alone.
LONGEST = ("test_train_loop.py", "test_training_devices.py", "test_package.py", "test_data_pipeline.py", "test_data_large.py", "test_weights_keras.py",
           "test_nets.py", "test_localize_outputs.py", "test_weights_hostile.py")


# In a test's source; Windows has none of them, and lets few users make links.
NOT_ON_WINDOWS = re.compile(r"\b(mkfifo|symlink|send_signal|umask|SIGKILL|SIGALRM|AF_UNIX|preexec_fn|resource)\b|/(dev|proc)/\w+")


def pytest_collection_modifyitems(items):
    for item in items if os.name == "nt" else ():
        if found := NOT_ON_WINDOWS.search(inspect.getsource(item.function)):
            item.add_marker(pytest.mark.skip(reason=f"Windows has no {found[0]}"))
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


# What decides how TensorFlow's convolutions are computed: as a line of the report says it, and as Linux calls it.
CPU_FEATURES = {"AVX2": "avx2", "AVX-512": "avx512f", "AVX512_BF16": "avx512_bf16", "AMX": "amx_tile"}
_onednn = set()  # what TensorFlow says, here or in the workers


def cpu_features(path="/proc/cpuinfo"):
    """"AVX2, AVX-512", or the name of the processor where the system does not list what it can."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            (flags,) = re.findall("^flags\\s*: (.*)$", file.read(1 << 14), re.M)[:1]
    except (OSError, ValueError):
        return platform.processor() or platform.machine()
    return ", ".join(name for name, flag in CPU_FEATURES.items() if flag in flags.split()) or f"none of {', '.join(CPU_FEATURES)}"


def onednn_here():
    """"on (TF_ENABLE_ONEDNN_OPTS=1)", as TensorFlow has it in this process; "" where it was not loaded."""
    port, asked = sys.modules.get("tensorflow.python.util._pywrap_util_port"), os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    state = port and ("on" if port.IsMklEnabled() else "off")
    return f"{state} ({f'TF_ENABLE_ONEDNN_OPTS={asked}' if asked else 'as TensorFlow chose'})" if state else ""


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["onednn"] = onednn_here()
    else:
        _onednn.add(onednn_here())


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node):
    _onednn.add(getattr(node, "workeroutput", {}).get("onednn", ""))


def pytest_terminal_summary(terminalreporter):
    found = " and ".join(sorted(_onednn - {""})) or "TensorFlow was not loaded"
    terminalreporter.write_line(f"CPU: {cpu_features()}; oneDNN: {found}")
