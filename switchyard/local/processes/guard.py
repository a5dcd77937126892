"""Runs a program that dies with its parent: ``python -I -S guard.py PARENT_PID PROGRAM ARGUMENT…``.

The kernel keeps the parent-death signal across exec. A program in between is used, not code between fork and exec,
because the supervisor has threads (gRPC's), after whose fork no Python may safely run.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):  # it died before the line above
        sys.exit(1)
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  (no shell is wanted)
    except OSError as err:
        sys.exit(f"cannot run {sys.argv[2]}: {err.strerror}; is it installed on this machine?")


if __name__ == "__main__":
    main()
