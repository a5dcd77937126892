"""Faults that last while a block does: a slow engine, a model that is killed, a process short of descriptors."""

import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil

from benchmarks.repeating import repeatedly
from tests.live.platform import Platform
from tests.live.processes import descendants, eventually


@contextmanager
def slow_engine(platform: Platform, model: str) -> Iterator[None]:
    """Let the engine of a model run for a thirtieth of the time."""
    (engine, *_) = descendants(platform.row(model)["pid"])

    def brake(ended: threading.Event) -> None:
        os.kill(engine, signal.SIGSTOP)
        ended.wait(1.0)
        os.kill(engine, signal.SIGCONT)

    with repeatedly(brake, 0.03):
        yield


@contextmanager
def kill_loop(platform: Platform, model: str) -> Iterator[None]:
    """End the process of a model whenever it serves."""

    def kill(_: threading.Event) -> None:
        row = platform.row(model)
        if row["state"] == "ready":
            with suppress(ProcessLookupError):  # it is killed already, and not seen to be
                os.kill(row["pid"], signal.SIGKILL)

    with repeatedly(kill, 0.1):
        yield


@contextmanager
def few_descriptors(pid: int, port: int, connections: int = 40) -> Iterator[None]:
    """Hold idle connections to a process, which may have hardly more files and sockets open than it has then."""
    process, before = psutil.Process(pid), resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        for _ in range(connections):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        eventually(lambda: _accepted(process, port) >= connections, f"process {pid} has {connections} connections")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (int(process.num_fds() / 0.87), before[1]))
        yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def _accepted(process: psutil.Process, port: int) -> int:
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in process.connections())
