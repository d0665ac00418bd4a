"""What Windows does otherwise, as far as Linux can play it: no fcntl, no links, and no file is renamed or removed while it is open."""

import errno
import os
import types

from cam_base import files


def is_open(path):
    """Whether this process holds the file open, or in memory."""
    real = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(path))), os.path.basename(path))
    for handle in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{handle}") == real:
                return True
        except OSError:  # that of the list itself
            pass
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        return any(line.rstrip("\n").endswith(f" {real}") for line in maps)


def play(patch):
    """Change `os` and the locks of `cam_base.files` so, by a pytest.MonkeyPatch."""
    def refused_while_open(call):
        def refuse(*paths, **options):
            for path in paths:
                if not isinstance(path, int) and os.path.isfile(path) and is_open(path):
                    raise PermissionError(errno.EACCES, "It is being used by another process", path)
            return call(*paths, **options)
        return refuse

    for name in ("unlink", "remove", "rename", "replace"):
        patch.setattr(os, name, refused_while_open(getattr(os, name)))
    patch.setattr(os, "symlink", no_links)
    patch.delattr(os, "O_NONBLOCK")
    patch.setattr(files, "msvcrt", types.SimpleNamespace(LK_NBLCK=2, locking=_locking(files.fcntl)), raising=False)
    patch.setattr(files, "fcntl", None)


def no_links(*_, **__):
    raise OSError(errno.EPERM, "A required privilege is not held by the client")


def _locking(fcntl):
    def locking(handle, mode, count):
        """As the C library's: EACCES where another handle has locked these bytes."""
        assert mode == 2 and count == 1 and os.lseek(handle, 0, os.SEEK_CUR) == 0
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None
    return locking
