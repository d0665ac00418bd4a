"""Files as Python 2 and NumPy 1 wrote them, opcode by opcode: Python 3's pickler would write other opcodes.

A file of the Toronto form is np.save's of a dictionary: an array of one object,
pickled by cPickle in protocol 2. Strings and the contents of arrays are Python 2
`str` (opcodes U and T), functions are named by GLOBAL, what may be needed again
is put into the memo (q), and what is needed again is taken from there (h). For
AlexNet's arrays that comes to the published file's size, to the byte.
"""

import struct

import numpy as np

PUBLISHED_SIZE = 243_861_814
ALEXNET = {"conv1": (11, 11, 3, 96), "conv2": (5, 5, 48, 256), "conv3": (3, 3, 256, 384),
           "conv4": (3, 3, 192, 384), "conv5": (3, 3, 192, 256), "fc6": (9216, 4096),
           "fc7": (4096, 4096), "fc8": (4096, 1000)}


def string(value):
    """Python 2's `str`: SHORT_BINSTRING or BINSTRING."""
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def integer(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if 0 <= value < 65536:
        return b"M" + struct.pack("<H", value)
    return b"J" + struct.pack("<i", value)


def integers(values):
    body = b"".join(map(integer, values))
    short = {1: b"\x85", 2: b"\x86", 3: b"\x87"}
    return body + short[len(values)] if len(values) in short else b"(" + body + b"t"


def npy_header(descr="|O8", shape="()"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 16) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


class Writer:
    """One .npy file of a dictionary; `document` yields its bytes piece by piece."""

    def __init__(self, dtype=b"f4"):
        self.code, self.memo, self.puts = dtype, {}, 0

    def put(self):
        self.puts += 1
        return b"q" + bytes([self.puts])

    def once(self, definition):
        """The definition and a put the first time, a get from then on."""
        if definition in self.memo:
            return b"h" + bytes([self.memo[definition]])
        made = definition + self.put()
        self.memo[definition] = self.puts
        return made

    def empty_array(self):
        return (self.once(b"cnumpy.core.multiarray\n_reconstruct\n") + self.once(b"cnumpy\nndarray\n")
                + integers([0]) + self.once(string(b"b")) + b"\x87R" + self.put())

    def dtype(self, code, order, alignment):
        """numpy.dtype(code, 0, 1) and its state, or the one that the memo has."""
        if code in self.memo:
            return b"h" + bytes([self.memo[code]])
        made = self.once(b"cnumpy\ndtype\n") + string(code) + integers([0, 1])[:-1] + b"\x87R" + self.put()
        self.memo[code] = self.puts
        return (made + b"(" + integer(3) + self.once(string(order)) + b"NNN" + integer(-1) * 2
                + integer(alignment) + b"tb")

    def array(self, values):
        yield self.empty_array() + b"(" + integer(1) + integers(values.shape) + self.dtype(self.code, b"<", 0) + b"\x89"
        yield string(np.ascontiguousarray(values, "<" + self.code.decode()).tobytes())
        yield b"t" + self.put() + b"b"

    def document(self, layers):
        """layers: {"conv1": (W, b)}, or {"conv1": {"weights": W, "biases": b}}."""
        yield npy_header() + b"\x80\x02" + self.empty_array() + b"(" + integer(1) + b")"
        yield self.dtype(b"O8", b"|", 63) + b"\x89]" + self.put() + b"}" + self.put() + b"("
        for name, pair in layers.items():
            yield self.once(string(name.encode()))
            if isinstance(pair, dict):
                yield b"}" + self.put() + b"("
                for key, values in pair.items():
                    yield self.once(string(key.encode()))
                    yield from self.array(values)
                yield b"u"
            else:
                yield b"]" + self.put() + b"("
                for values in pair:
                    yield from self.array(values)
                yield b"e"
        yield b"uat" + self.put() + b"b."


def write(path, layers, dtype=b"f4"):
    with open(path, "wb") as file:
        for piece in Writer(dtype).document(layers):
            file.write(piece)


def alexnet(rng, layers=tuple(ALEXNET)):
    """{name: (W, b)} with random numbers, float32."""
    return {name: (rng.standard_normal(ALEXNET[name], np.float32) / 50,
                   rng.standard_normal(ALEXNET[name][-1], np.float32)) for name in layers}
