"""Reads the files whose paths stand on standard input, and says in a line of JSON what became of each.

Started by hostile_files.py. "loaded" and "refused" (an InputError or ValueError of one line) are as it
should be; "traceback" is any other exception, "memory" more than 64 MB and 4 times what a picture decodes
to (or a weights file has), "run" any start of a program, connection, or change of a file.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import nets
import weights
from cam_base import InputError
from cam_data.decoding import LARGE, read_reduced
from cam_data.headers import LARGEST_PICTURE, read_header
from weights import toronto

# A network of AlexNet's form that is small enough to be written thousands of times.
NARROW = {"conv1": (3, 3, 3, 4), "conv2": (3, 3, 2, 8), "conv3": (1, 1, 8, 4), "conv4": (1, 1, 2, 4),
          "conv5": (1, 1, 2, 6)}
BESIDES = 64 << 20
BACKSTOP = 12 << 30  # of addresses: a file that asks for more fails instead of filling the machine
RUNNING = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
           "subprocess.Popen", "pickle.find_class", "ctypes.dlopen", "socket.", "os.remove",
           "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate",
           "shutil.")
seen, watching = [], False


def watch(event, arguments):
    """An audit hook (PEP 578): what the interpreter does is noted while a file is read."""
    if watching and (event.startswith(RUNNING)
                     or event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        seen.append(f"{event} {arguments}")


def memory(what):
    """Bytes of this process: "VmRSS" now, "VmHWM" at the most since `forget_peak`."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) << 10


def forget_peak():
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def read_weights(path):
    """A function that uses what was read: a network with these weights sees a picture."""
    trained = weights.load(path)

    def use():
        if trained.network.get("name") == "resnet":
            net = nets.build(trained.network, max(1, len(trained.classes)))
            nets.assign(net, trained.tensors, partial=True)
            nets.check_outputs(net, trained.preprocessing)
    return use


def read_picture(path):
    pixels, size = read_reduced(path, 448)
    assert pixels.shape == (*size, 3) or size[0] * size[1] >= LARGE, (pixels.shape, size)


def allowed(kind, path):
    """Bytes that reading this file may take beside the usual."""
    if kind == "weights":
        return BESIDES + 4 * os.path.getsize(path)
    try:
        with open(path, "rb") as file:
            header = read_header(file)
        pixels = header.height * header.width
    except InputError:
        pixels = 0
    return BESIDES + 4 * 3 * (pixels if pixels <= LARGEST_PICTURE else 0)


def report(kind, path):
    """{"outcome": ..., "about": ...} of one file."""
    global watching
    most = allowed(kind, path)
    forget_peak()
    before, began, outcome, about, use = memory("VmRSS"), time.perf_counter(), "loaded", "", None
    watching = True
    try:
        use = read_weights(path) if kind == "weights" else read_picture(path)
    except InputError as error:
        outcome, about = "refused", str(error)
    except BaseException as error:  # whatever it is
        outcome, about = "traceback", repr(error)
    taken = memory("VmHWM") - before
    if use:
        try:
            use()
        except ValueError as error:  # of which InputError is one
            outcome, about = "refused", str(error)
        except BaseException as error:
            outcome, about = "traceback", repr(error)
    watching = False
    if "\n" in about:
        outcome = "traceback"
    if taken > most:
        outcome, about = "memory", f"{taken >> 20} MB, {most >> 20} allowed"
    if seen:
        outcome, about = "run", "; ".join(seen)
        seen.clear()
    return {"outcome": outcome, "about": about[:300], "seconds": round(time.perf_counter() - began, 3)}


def main():
    toronto.KERNELS = NARROW
    resource.setrlimit(resource.RLIMIT_AS, (BACKSTOP, BACKSTOP))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    np.seterr(all="ignore")
    sys.addaudithook(watch)
    for line in sys.stdin:
        print(json.dumps(report(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
