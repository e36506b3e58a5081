"""Read a file that has to be a regular file."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def read_regular_file(path: Path) -> bytes:
    """Return the content of a file; OSError if it is not one, such as a pipe.

    Reading from a pipe waits for a writer, maybe forever.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return path.read_bytes()
    raise OSError(errno.EINVAL, "It is not a regular file")
