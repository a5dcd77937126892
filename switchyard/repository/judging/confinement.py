"""What a process that reads strangers' files may do: as little as Linux lets it give up without privileges."""

import contextlib
import ctypes
import os
import resource
import signal
import time
from dataclasses import dataclass

import psutil

from switchyard.repository.judging.system_calls import forbid
from switchyard.repository.verdict import Group

MOST_RUN_SECONDS = 60.0  # 2.5 GB of weights are read from a slow network disk in that time
_LEAST_MEMORY = 1 << 30
_BYTES_PER_SECOND = 50_000_000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38  # prctl(2)
_SWEEP_SECONDS = 5.0
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000  # unshare(2)
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessLimits:
    """``memory`` is bytes of address space beyond what the process has now; times are seconds.

    ``wall_seconds`` are of all stages, most of which read all files; ``inspect_seconds`` are of the one that does not,
    ``run_seconds`` of the run of a small model, and ``code_seconds`` of one version in Python.
    """

    memory: int
    cpu_seconds: int
    wall_seconds: float
    inspect_seconds: float = 120.0  # the graph of an ONNX file has at most 2 GB, which are read in 40 s
    run_seconds: float = 10.0
    code_seconds: float = 25.0  # an import and a load on a busy machine; two versions of it are within wall_seconds
    open_files: int = 256

    @staticmethod
    def of(size: int, group: Group) -> "ProcessLimits":
        """Return the limits for a folder of ``size`` bytes.

        A session holds the weights up to four times while it is made: file, graph, constants folded, packed for the
        CPU. Weights of language models are read in small parts. 50 MB/s is what a slow network disk gives. The size is
        whatever the folder says, holes and files that nothing needs too, so it lifts no limit beyond a share of what
        this machine has free.
        """
        seconds = 60 + size // _BYTES_PER_SECOND
        share = max(_LEAST_MEMORY, psutil.virtual_memory().available // 2)
        memory = min(_LEAST_MEMORY + 4 * size, share) if group == "vision" else 2 << 30
        return ProcessLimits(memory=memory, cpu_seconds=2 * seconds, wall_seconds=float(seconds))

    def of_run(self, weights: int) -> tuple[int, float]:
        """Return the bytes and seconds for one run of a model, of which ``weights`` are the bytes that it reads."""
        seconds = min(self.run_seconds + weights / _BYTES_PER_SECOND, MOST_RUN_SECONDS)
        return _LEAST_MEMORY + 4 * weights, seconds


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread of process ``parent`` that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the call above
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of what a process below this one leaves behind."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """End every child, and what each leaves behind; a process that has none knows that at once.

    Raises:
        TimeoutError: they are made faster than they end.
    """
    deadline = time.monotonic() + _SWEEP_SECONDS
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                for child in psutil.Process().children():
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
                os.waitpid(-1, 0)
        raise TimeoutError("a model makes processes without end")


def leave_network() -> bool:
    """Give up the network, by a namespace without any interface and by having no more sockets; return whether one did.

    The kernel allows the namespace to root, and to others where user namespaces are on, which container runtimes turn
    off; the filter also stops sockets that are files. The process must have a single thread.
    """
    namespace = any(_libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))
    return forbid(("socket", "io_uring_setup")) or namespace  # a ring makes sockets, too


def limit(limits: ProcessLimits) -> None:
    """Take the limits, for good: no files can be written, nothing is dumped."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # short of memory, the kernel ends this process before those that serve
    for kind, most in (
        (resource.RLIMIT_AS, _mapped() + limits.memory),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        # One second lies between SIGXCPU, which says what it is, and SIGKILL.
        resource.setrlimit(kind, (most, most + 1 if kind == resource.RLIMIT_CPU else most))


def limit_memory(memory: int) -> None:
    """Take a limit of ``memory`` bytes beyond what the process has now, if that is less than the one it has."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    least = _mapped() + memory
    if most == resource.RLIM_INFINITY or least < most:
        resource.setrlimit(resource.RLIMIT_AS, (least, least))


def _mapped() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
