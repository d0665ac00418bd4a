"""A JSON list on disk that grows, and is whole at every moment."""

import json
import os
import tempfile

BEGIN, BETWEEN, END = b"[\n", b",\n", b"\n]\n"


class JsonList:
    """`with JsonList(path) as entries: entries.append(value)`.

    The file takes path's place with the first entry; without one, what was there
    stays. If an entry cannot be written (OSError: a full disk), those before it are
    still a whole file.
    """

    def __init__(self, path):
        self.path, self.file, self.end = os.path.abspath(path), None, 0

    def __enter__(self):
        return self

    def append(self, value):
        # What of a file's name is not UTF-8 becomes \udcxx, which JSON can hold.
        entry = json.dumps(value, indent=1, ensure_ascii=False).encode(errors="backslashreplace")
        if self.file is None:
            self._begin(entry)
        else:
            self._write(BETWEEN + entry)

    def _begin(self, entry):
        folder = os.path.dirname(self.path)
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".unfinished-")
        self.file = os.fdopen(handle, "r+b", buffering=0)
        try:
            self._write(BEGIN + entry)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, self.path)
        except BaseException:
            self.file.close()
            os.unlink(temporary)
            raise

    def _write(self, data):
        """Put data where the list ended, and the end behind it, at once."""
        data += END
        self.file.seek(self.end)
        try:
            written = self.file.write(data)
            while written < len(data):
                written += self.file.write(data[written:])
        except OSError:
            if self.end:
                # The end had its place before: no new one is needed for it.
                self.file.truncate(self.end + len(END))
                self.file.seek(self.end)
                self.file.write(END)
            raise
        self.end += len(data) - len(END)

    def __exit__(self, *_):
        if self.file is not None:
            self.file.close()
