"""Files on disk that grow, and are whole at every moment."""

import codecs
import json
import os

from .files import unfinished


class Growing:
    """`with Growing(path) as file: file.append(b"one", b"two")`.

    The file takes path's place with the first entry; without one, what was there
    stays. If an entry cannot be written (OSError: a full disk), those before it are
    still a whole file.

    begin, between, end  what stands around the entries
    """

    def __init__(self, path, begin=b"", between=b"", end=b""):
        self.path, self.file, self.behind = os.path.abspath(path), None, 0
        self.begin, self.between, self.end = begin, between, end

    def __enter__(self):
        return self

    def append(self, *entries):
        """Add entries, of bytes: several at once, or none of them."""
        data = self.between.join(entries)
        if not entries:
            return
        if self.file is None:
            self._begin(data)
        else:
            self._write(self.between + data)

    def _begin(self, data):
        folder = os.path.dirname(self.path)
        os.makedirs(folder, exist_ok=True)
        handle, temporary = unfinished(folder)
        self.file = os.fdopen(handle, "r+b", buffering=0)
        try:
            self._write(self.begin + data)
            self.file.close()  # Windows does not rename a file that is open
            os.replace(temporary, self.path)
        except BaseException:
            self.file.close()
            os.unlink(temporary)
            raise
        self.file = open(self.path, "r+b", buffering=0)

    def _write(self, data):
        """Put data where the entries ended, and the end behind it, at once."""
        data += self.end
        self.file.seek(self.behind)
        try:
            written = self.file.write(data)
            while written < len(data):
                written += self.file.write(data[written:])
        except OSError:
            if self.behind:
                # The end had its place before: no new one is needed for it.
                self.file.truncate(self.behind + len(self.end))
                self.file.seek(self.behind)
                self.file.write(self.end)
            raise
        self.behind += len(data) - len(self.end)

    def __exit__(self, *_):
        if self.file is not None:
            self.file.close()


class Printed:
    """As Growing, of JSON on a stream of text: what is behind the entries comes at the end, whatever ends them.

    A stream of another encoding than UTF-8, as pipes are on Windows, gets ASCII, with other letters as JSON's \\uXXXX.
    """

    def __init__(self, stream, begin=b"", between=b"", end=b""):
        self.begin, self.between, self.end, self.begun = begin, between, end, False
        self.stream = stream
        self.utf_8 = codecs.lookup(stream.encoding or "utf-8").name == "utf-8"

    def __enter__(self):
        return self

    def append(self, *entries):
        for entry in entries:
            self._print((self.between if self.begun else self.begin) + entry)
            self.begun = True

    def _print(self, data):
        text = data.decode(errors="replace")
        self.stream.write(text if self.utf_8 else "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text))
        self.stream.flush()

    def __exit__(self, *_):
        self._print(self.end if self.begun else self.begin + self.end)


def json_bytes(value, indent=1):
    """What of a file's name is not UTF-8 becomes \\udcxx, which JSON can hold."""
    return json.dumps(value, indent=indent, ensure_ascii=False).encode(errors="backslashreplace")
