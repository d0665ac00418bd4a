"""A reader of pickles that can run nothing: it knows data, and a short list of constructors.

Python's own unpickler imports what a file names and calls it. This one is a
small machine of its own (opcodes as in the standard library's `pickletools`).
What a GLOBAL opcode names is looked up in the caller's dictionary, and nothing
else exists. Long strings and bytes are slices of the file, never copies, and
the number of steps is limited: a file of a few bytes cannot fill the memory.
"""

import struct

from cam_base import InputError

# ResNet-152's state dictionary takes about 40 000, with an optimizer's state beside it three times as many.
MAX_STEPS = 400_000
MARK = object()


class Unpickler:
    """One run over one pickle.

    data        bytes-like, read from its beginning; what follows its end is left alone
    admitted    {(module, name): function}: all that the pickle may call
    persistent  what a persistent id stands for (torch's storages), or None
    opaque      whether what is not admitted becomes an Opaque, instead of an InputError
    """

    def __init__(self, data, admitted, persistent=None, opaque=False):
        self.data, self.position = memoryview(data), 0
        self.admitted, self.persistent, self.opaque = admitted, persistent, opaque
        self.stack, self.memo = [], {}

    def load(self):
        """What the pickle describes. InputError for whatever an array file does not need.

        Arrays, and whatever the admitted functions return, stand where they
        were called. Strings of up to 255 bytes are str, Python 2's by latin-1;
        longer ones and bytes are slices of `data`, as they stand there.
        """
        for _ in range(MAX_STEPS):
            code = self._take(1)[0]
            if code == ord("."):
                return self._pop()
            step = STEPS.get(code)
            if step is None:
                raise InputError(f"its pickle has an opcode {bytes([code])!r} that arrays do not need: refused")
            step(self)
        raise InputError(f"its pickle takes more than {MAX_STEPS} steps: refused")

    def _take(self, count):
        piece = self.data[self.position:self.position + count]
        if len(piece) < count:
            raise InputError("its pickle ends too early: the file is truncated or damaged")
        self.position += count
        return piece

    def _number(self, form):
        return struct.unpack("<" + form, self._take(struct.calcsize(form)))[0]

    def _line(self):
        line = bytes(self.data[self.position:self.position + 256]).partition(b"\n")
        self._take(len(line[0]) + 1)
        return line[0].decode("ascii", "replace")

    def _push(self, value):
        self.stack.append(value)

    def _top(self):
        if not self.stack or self.stack[-1] is MARK:
            raise InputError("its pickle is damaged: it takes a value that is not there")
        return self.stack[-1]

    def _pop(self):
        self._top()
        return self.stack.pop()

    def _pop_to_mark(self):
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is MARK:
                values = self.stack[place + 1:]
                del self.stack[place:]
                return values
        raise InputError("its pickle is damaged: a mark is missing")

    def _remember(self, place):
        self.memo[place] = self._top()

    def _recall(self, place):
        if place not in self.memo:
            raise InputError("its pickle is damaged: it refers to what is not there")
        self._push(self.memo[place])

    def _append(self, values):
        target = self._top()
        if type(target) is Opaque:
            return
        if type(target) is not list:
            raise InputError(f"its pickle appends to {type(target).__name__}: refused")
        target.extend(values)

    def _set(self, values):
        target = self._top()
        if type(target) is Opaque:
            return
        if type(target) is not dict or len(values) % 2:
            raise InputError(f"its pickle sets items of {type(target).__name__}: refused")
        for key, value in zip(values[::2], values[1::2]):
            # A key of nested tuples would be hashed by recursion, as deep as the file likes.
            if type(key) not in (str, int):
                if self.opaque:  # no tensor of a network is called so
                    continue
                raise InputError(f"its pickle has a dictionary key of type {type(key).__name__}: refused")
            target[key] = value

    def _global(self, module, name):
        if (module, name) not in self.admitted:
            if self.opaque:
                self._push(Opaque(f"{module}.{name}"))
                return
            raise InputError(f"its pickle asks for {module}.{name}, which arrays do not need: refused")
        self._push(Admitted(self.admitted[module, name]))

    def _stack_global(self):
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise InputError("its pickle names a function by something that is not text: refused")
        self._global(module, name)

    def _reduce(self):
        arguments, function = self._pop(), self._pop()
        if type(function) is Opaque:
            self._push(Opaque(function.name))
            return
        if self.opaque and type(function) is Admitted and type(arguments) is tuple and any(type(one) is Opaque for one in arguments):
            # What is made of what nobody knows is nothing that anybody knows.
            self._push(Opaque(next(one.name for one in arguments if type(one) is Opaque)))
            return
        if type(function) is not Admitted or type(arguments) is not tuple:
            raise InputError(f"its pickle calls {type(function).__name__}: refused")
        self._push(function.call(*arguments))

    def _build(self):
        state, value = self._pop(), self._top()
        if isinstance(value, Buildable):
            value.build(state)
        elif type(value) not in (dict, Opaque):  # an OrderedDict's attributes say nothing that we need
            raise InputError(f"its pickle sets the state of {type(value).__name__}: refused")

    def _persistent(self):
        if self.persistent is None:
            raise InputError("its pickle refers to data outside of itself: refused")
        self._push(self.persistent(self._pop()))

    def _tuple(self, count):
        self._push(tuple(reversed([self._pop() for _ in range(count)])))

    def _string(self, length, encoding):
        """Text when it is short; beyond that the contents of an array, which are not copied."""
        piece = self._take(length)
        self._push(str(piece, encoding) if length < 256 else piece)

    def _long(self, length):
        self._push(int.from_bytes(self._take(length), "little", signed=True))


    def _make(self, keywords=False):
        """NEWOBJ, NEWOBJ_EX: an instance of a class, of which none is admitted."""
        for _ in range(2 + keywords):
            made = self._pop()
        if type(made) is not Opaque:
            raise InputError(f"its pickle makes an instance of {type(made).__name__}: refused")
        self._push(Opaque(made.name))

    def _inert(self, step):
        """A step that only a trainer's state needs."""
        if not self.opaque:
            raise InputError("its pickle has an opcode that arrays do not need: refused")
        step()

    def _short(self):
        """The length of a whole number of more than 255 bytes, such as a random generator's state has."""
        length = self._number("I")
        if length > 1 << 16:
            raise InputError(f"its pickle has a number of {length:,} bytes: refused")
        return length

    def _add(self):
        """ADDITEMS: to a set, whose items say nothing that we need."""
        self._pop_to_mark()
        if type(self._top()) is not Opaque:
            raise InputError(f"its pickle adds to {type(self._top()).__name__}: refused")


class Opaque:
    """What a pickle names that is not admitted, and whatever it would make of it: a name, never called."""

    def __init__(self, name):
        self.name = name


class Admitted:
    """A function that the caller admitted; the pickle can do nothing with it but call it."""

    def __init__(self, call):
        self.call = call


class Buildable:
    """What may be given a state by the BUILD opcode, through its method `build`."""


STEPS = {
    0x80: lambda u: u._take(1),  # PROTO
    0x95: lambda u: u._take(8),  # FRAME
    ord("("): lambda u: u._push(MARK),
    ord("N"): lambda u: u._push(None),
    0x88: lambda u: u._push(True),
    0x89: lambda u: u._push(False),
    ord("J"): lambda u: u._push(u._number("i")),
    ord("K"): lambda u: u._push(u._number("B")),
    ord("M"): lambda u: u._push(u._number("H")),
    0x8a: lambda u: u._long(u._number("B")),
    ord("U"): lambda u: u._string(u._number("B"), "latin-1"),
    ord("T"): lambda u: u._string(u._number("I"), "latin-1"),
    ord("X"): lambda u: u._string(u._number("I"), "utf-8"),
    0x8c: lambda u: u._string(u._number("B"), "utf-8"),
    ord("C"): lambda u: u._push(u._take(u._number("B"))),
    ord("B"): lambda u: u._push(u._take(u._number("I"))),
    0x8e: lambda u: u._push(u._take(u._number("Q"))),
    ord("]"): lambda u: u._push([]),
    ord(")"): lambda u: u._push(()),
    ord("}"): lambda u: u._push({}),
    ord("t"): lambda u: u._push(tuple(u._pop_to_mark())),
    0x85: lambda u: u._tuple(1),
    0x86: lambda u: u._tuple(2),
    0x87: lambda u: u._tuple(3),
    ord("a"): lambda u: u._append([u._pop()]),
    ord("e"): lambda u: u._append(u._pop_to_mark()),
    ord("s"): lambda u: u._set([u._pop(), u._pop()][::-1]),
    ord("u"): lambda u: u._set(u._pop_to_mark()),
    ord("q"): lambda u: u._remember(u._number("B")),
    ord("r"): lambda u: u._remember(u._number("I")),
    0x94: lambda u: u._remember(len(u.memo)),
    ord("h"): lambda u: u._recall(u._number("B")),
    ord("j"): lambda u: u._recall(u._number("I")),
    ord("c"): lambda u: u._global(u._line(), u._line()),
    0x93: lambda u: u._stack_global(),
    ord("R"): lambda u: u._reduce(),
    ord("b"): lambda u: u._build(),
    ord("Q"): lambda u: u._persistent(),
    ord("G"): lambda u: u._inert(lambda: u._push(struct.unpack(">d", u._take(8))[0])),
    0x8b: lambda u: u._inert(lambda: u._long(u._short())),
    0x81: lambda u: u._inert(u._make),
    0x92: lambda u: u._inert(lambda: u._make(keywords=True)),
    0x8f: lambda u: u._inert(lambda: u._push(Opaque("set"))),
    0x90: lambda u: u._inert(u._add),
    0x91: lambda u: u._inert(lambda: (u._pop_to_mark(), u._push(Opaque("frozenset")))),
    ord("0"): lambda u: u._inert(lambda: u._pop()),
    ord("2"): lambda u: u._inert(lambda: u._push(u._top())),
    ord("1"): lambda u: u._inert(u._pop_to_mark),
}
