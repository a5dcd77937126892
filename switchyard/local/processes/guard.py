"""Runs a program that dies with its parent: ``python -I -S guard.py PARENT_PID PROGRAM ARGUMENT…``.

The kernel keeps the parent-death signal across exec. This is a separate program, not code between fork and exec,
because no Python may safely run after the fork of a process with threads, which the supervisor has.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):  # the parent died before the line above
        sys.exit(1)
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  (no shell is wanted)
    except OSError as err:
        sys.exit(f"cannot run {sys.argv[2]}: {err.strerror}; is it installed on this machine?")


if __name__ == "__main__":
    main()
