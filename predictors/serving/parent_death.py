"""Parent-death signals: no process outlives the one that started it, even when that one is killed."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread of process ``parent`` that forked it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the call above
        os.kill(os.getpid(), signal.SIGKILL)


def children_die_with_me() -> None:
    """Do the same for every process that this one, or a child of it, forks from now on."""
    parent = os.getpid()

    def note_parent() -> None:
        nonlocal parent
        parent = os.getpid()

    # Read before each fork and not once: a child inherits this hook, and for its own children it is the parent.
    os.register_at_fork(before=note_parent, after_in_child=lambda: die_with_parent(parent))
