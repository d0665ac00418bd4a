"""Files that are read with care and written whole."""

import os
import tempfile


class replacing:
    """`with replacing(path) as file`: a new binary file that takes path's place only if all went well."""

    def __init__(self, path):
        self.path = os.path.abspath(path)

    def __enter__(self):
        folder = os.path.dirname(self.path)
        os.makedirs(folder, exist_ok=True)
        handle, self.temporary = tempfile.mkstemp(dir=folder, prefix=".unfinished-")
        self.file = os.fdopen(handle, "wb")
        return self.file

    def __exit__(self, kind, error, trace):
        try:
            self.file.close()
            if kind is None:
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(self.temporary, 0o666 & ~mask)
                os.replace(self.temporary, self.path)
        finally:
            if os.path.exists(self.temporary):
                os.unlink(self.temporary)
