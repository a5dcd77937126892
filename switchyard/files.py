"""Reading of files that operators name and that may be replaced by anything at any time."""

import errno
import os
import stat
from pathlib import Path


def read_file(path: Path, most: int) -> bytes:
    """Return the contents of a regular file of at most ``most`` bytes; nothing else is waited for, or read.

    Raises:
        OSError: it cannot be read, is no regular file or is longer; ``strerror`` says which.
    """
    # Else to open a FIFO would wait for whoever writes to it.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "It is no regular file", str(path))
        with open(handle, "rb", closefd=False) as file:
            data = file.read(most + 1)
    finally:
        os.close(handle)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"It has more than {most} bytes, which is the most that is read", str(path))
    return data
