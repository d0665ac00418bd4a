"""One file from an address to a place on disk: resumed when it broke off, and checked before it counts."""

import http.client
import os
import shutil
import urllib.error
import urllib.request

from cam_base import InputError
from cam_base.files import lock

PATIENCE = 30  # seconds without a single byte
CHUNK = 1 << 18


def download(address, target, size, check, progress=lambda done, total: None):
    """Bring `address` (http, https, file) to `target`, replacing what is there only by what passed.

    size      in bytes if it is known, else None
    check     called with the path of the complete download; raises InputError
              if it is wrong, and then it is deleted
    progress  called with the bytes so far, and all of them if the server said so

    What broke off stays as <target>.part, and the next call goes on there by a
    Range request. Proxies are those of the environment (HTTPS_PROXY).
    Raises InputError; `target` is then as it was.
    """
    part, held = target + ".part", False
    if address.partition(":")[0] not in ("http", "https", "file"):
        raise InputError(f"{address} is not an address that begins with http:, https: or file:")
    try:
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        with open(part, "ab") as file:
            lock(file, f"{target} is being fetched by another process")
            held = True
            file.seek(0, os.SEEK_END)
            _receive(address, file, size, progress)
    except InputError:
        raise
    except urllib.error.HTTPError as error:
        raise InputError(f"{address} answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise InputError(f"could not reach {address} ({reason})") from None
    except (ConnectionError, TimeoutError, http.client.HTTPException, ValueError) as error:
        raise InputError(f"the connection to {address} broke ({str(error) or type(error).__name__}); "
                         "the same command goes on from there") from None
    except OSError as error:
        _remove(part)  # a full disk is not helped by half a file
        raise InputError(f"{target} could not be written: {error.strerror or error}") from None
    finally:
        if held and os.path.exists(part) and not os.path.getsize(part):
            os.unlink(part)
    try:
        if wrong := _problem(check, part):
            _remove(part)
            raise InputError(f"what came from {address} is wrong and was thrown away: {wrong}")
        os.replace(part, target)
    except OSError as error:
        raise InputError(f"{target} could not be written: {error.strerror or error}") from None


def _receive(address, file, size, progress):
    done = file.tell()
    if size is not None and done == size:
        return
    request = urllib.request.Request(address, headers={"User-Agent": "cam-weights"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        # An opener of its own reads the environment's proxies now, and not only the first time.
        response = urllib.request.build_opener().open(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not done:
            raise
        # Nothing lies behind our bytes: they are all, or of another file. The check will tell.
        return
    with response:
        if not _continues(response, done):
            file.truncate(0)
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else size
        _refuse_size(address, total, size)
        _refuse_full_disk(file, total and total - done)
        while chunk := response.read(CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
            _refuse_size(address, max(done, size or 0), size)
        file.flush()
    if total is not None and done < total:
        raise ConnectionError(f"{done} of {total} bytes had come")


def _continues(response, done):
    """Whether the server sends what follows our `done` bytes, and not the whole file again."""
    return bool(done) and response.status == 206 \
        and response.headers.get("Content-Range", "").startswith(f"bytes {done}-")


def _refuse_size(address, found, size):
    if size is not None and found is not None and found != size:
        raise InputError(f"{address} has {found} bytes, not the {size} of the published file")


def _refuse_full_disk(file, needed):
    free = shutil.disk_usage(os.path.dirname(os.path.abspath(file.name))).free
    if needed and needed > free:
        raise OSError(28, f"{needed / 1e6:.0f} MB are needed, and {free / 1e6:.0f} MB are free on this disk")


def _problem(check, path):
    """What is wrong with a file, or None. What the error held of the file is gone with it: Windows removes no file that is in memory."""
    try:
        check(path)
    except InputError as error:
        return str(error)
    return None


def _remove(path):
    if os.path.exists(path):
        os.unlink(path)
