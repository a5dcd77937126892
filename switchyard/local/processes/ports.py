"""Ports that are fixed: whether they are free, and who listens there if not."""

import shlex
import socket
from collections.abc import Collection, Iterable

import psutil

from switchyard.local.errors import LocalError
from switchyard.local.plan import arguments
from switchyard.local.processes import identities

_STEP = 10  # between the ports that are tried to find free ones: 8010 after 8000
_COMMAND_CHARACTERS = 100


class PublicPortError(LocalError):
    """A port cannot be used; the message names it, who needs it, and who listens there where the kernel tells."""


def require_free(ports: Iterable[int], needs: str) -> None:
    """Fail when ``needs`` cannot listen on one of its ``ports``.

    Raises:
        PublicPortError: a port is taken, or not for this user.
    """
    for port in sorted(ports):
        if (err := _fault(port)) is None:
            continue
        if isinstance(err, PermissionError):
            raise PublicPortError(f"{needs} may not listen on port {port}: {err.strerror}")
        raise PublicPortError(f"port {port}, which {needs} needs, is taken by {_holder(port)}")


def next_free(port: int, ports: Collection[int]) -> int | None:
    """Return the first free port above ``port``, where ``ports``, moved by the same distance, are free too."""
    for shift in range(_STEP, arguments.PORTS - max(ports), _STEP):
        if all(_fault(other + shift) is None for other in ports):
            return port + shift
    return None


def _fault(port: int) -> OSError | None:
    with socket.socket() as probe:
        # As servers bind: connections of the last run in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((arguments.LOOPBACK, port))
        except OSError as err:
            return err
    return None


def _holder(port: int) -> str:
    """Describe who listens on ``port``; the kernel tells a user about its own processes only."""
    try:
        listening = (one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN)
        pid = next((one.pid for one in listening if one.laddr.port == port and one.pid), None)
        if pid is None:
            return "a program of another user, or one that is just ending"
        process = psutil.Process(pid)
        command = shlex.join(process.cmdline())
        run = f", of the switchyard in {process.cwd()}" if identities.RUN_VARIABLE in process.environ() else ""
    except psutil.Error:  # it has just ended
        return "a program that is just ending"
    cut = command if len(command) <= _COMMAND_CHARACTERS else command[: _COMMAND_CHARACTERS - 1] + "…"
    return f"process {pid} ({cut}){run}"
