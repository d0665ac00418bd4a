"""Files that are read with care and written whole."""

import contextlib
import errno
import os
import secrets
import stat
import tempfile

from .errors import InputError
from .terminal import warn

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


def cache_folder(name):
    """The user's folder for what can be had again: $XDG_CACHE_HOME/name, or ~/.cache/name."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), name)


def open_regular(path, largest=None):
    """A regular file (or a link to one), opened for reading bytes. Pipes and devices, which may have no end, are refused.

    largest  most bytes that it may have; None: any
    raises   InputError for what is no regular file, or larger; OSError for what cannot be opened
    """
    # Opening a pipe would wait for its other end.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise InputError(f"{os.fspath(path)}: not a regular file")
    if largest is not None and status.st_size > largest:
        os.close(handle)
        raise InputError(f"{os.fspath(path)}: has {status.st_size:,} bytes; at most {largest:,} are read")
    return os.fdopen(handle, "rb")


def text_lines(path, largest, hint=""):
    """The lines of a list in UTF-8, with a byte order mark or without. InputError for what cannot be read; `hint` follows why."""
    try:
        with open_regular(path, largest) as file:
            return file.read().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}{hint}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None


@contextlib.contextmanager
def locked(path, taken, stays=True):
    """The file `path` is made if need be and held by this process alone. The lock ends with the process, however that ends.

    taken   what the InputError says while another process holds it
    stays   False: the file is taken away afterwards, and folders that were made for it where they are empty
    """
    folder = os.path.dirname(os.path.abspath(path))
    made = [] if stays else _missing(folder)
    try:
        while True:
            os.makedirs(folder, exist_ok=True)
            with open(path, "ab") as file:
                lock(file, taken)
                # The one who held it before may have taken it away in between.
                if stays or _is_at(path, file):
                    try:
                        yield file
                    finally:
                        if not stays:
                            with contextlib.suppress(OSError):
                                os.unlink(path)
                    return
    finally:
        if not stays and not fcntl:
            # Windows removes no file that is open, be it another process's that holds it by now.
            with contextlib.suppress(OSError):
                os.unlink(path)
        _remove_empty(made)


def _is_at(path, file):
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    return False


def lock(file, taken):
    """Hold an open file until it is closed; InputError(taken) while another process holds it."""
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise InputError(taken) from None
        # Lustre and NFS may be mounted so.
        warn(f"{file.name}: this file system has no locks ({error.strerror}); take care that no other process writes there")


def is_utf8(name):
    """Whether UTF-8 can hold it: names of files that are not UTF-8, and JSON's halves of letters, become text that cannot be written."""
    try:
        return name.encode() is not None
    except UnicodeEncodeError:
        return False


# Within the pictures that these programs draw, by which localize.py knows that they are no pictures to look at.
OWN_MARK = "drawn by localize.py"


def unfinished(folder):
    """(handle, path) of a file to be renamed, with the permissions of any new file, which `tempfile`'s have not."""
    path = os.path.join(folder, f".unfinished-{secrets.token_hex(8)}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), path


class replacing:
    """`with replacing(path) as file`: a new binary file that takes path's place only if all went well."""

    def __init__(self, path):
        self.path = os.path.abspath(path)

    def __enter__(self):
        folder = os.path.dirname(self.path)
        try:
            handle, self.temporary = unfinished(folder)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            handle, self.temporary = unfinished(folder)
        self.file = os.fdopen(handle, "wb")
        return self.file

    def __exit__(self, kind, error, trace):
        try:
            self.file.close()
            if kind is None:
                os.replace(self.temporary, self.path)
        except OSError as problem:
            error = problem
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.temporary)
            # A disk that was full says no file's name.
            if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
                error.filename = self.path


def check_folder(path):
    """InputError unless files can be written into the folder `path`, which need not be there yet. Nothing stays."""
    made = _missing(path)
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".unfinished-"):
            pass
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be written to ({error.strerror or error}); "
                         "choose another place") from None
    finally:
        _remove_empty(made)


def _missing(path):
    """The folder `path` and those above it, as far as they are not there yet, the innermost first."""
    folders, folder = [], os.path.abspath(path)
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):  # there may be no drive Z:
        folders.append(folder)
        folder = os.path.dirname(folder)
    return folders


def _remove_empty(folders):
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def check_new_file(path):
    """InputError unless a file can be written at `path`."""
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; name a file")
    check_folder(os.path.dirname(os.path.abspath(path)))
