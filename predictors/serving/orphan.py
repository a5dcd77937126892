"""No process outlives the one that started it, even when that one is killed without a word."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Asks the kernel to kill this process when the thread that forked it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def children_die_with_me() -> None:
    """Does the same for every process that this one forks from now on."""
    os.register_at_fork(after_in_child=die_with_parent)
