"""Files that are written whole, by several threads at once."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from cam_base.files import permissions


def test_threads_that_write_at_once_keep_the_masks_permissions():
    """The mask is of the process: a thread that asked for it while another did would read 0, and leave 0 behind."""
    before, interval = os.umask(0o027), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: {permissions() for _ in range(20000)}, range(8)))
        assert set().union(*found) == {0o640} and os.umask(0o027) == 0o027
    finally:
        sys.setswitchinterval(interval)
        os.umask(before)
