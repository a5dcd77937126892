"""Ports for processes that are told where to listen."""

import os
import random
import socket
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 20_000  # above what programs listen on by default
_TRIES = 1000
# Each worker of pytest-xdist, with all that its tests start, draws from a share of its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_port() -> int:
    """Return a loopback port that nobody listens on.

    It is free, not reserved: until its process binds it, others may. The kernel gives none from below its own range, to
    outgoing connections and to listeners on port 0, so of those that are drawn there only another draw can take one.
    """
    below = int(_EPHEMERAL.read_text().split()[0])
    share = range(_FIRST + _WORKER, below, _WORKERS)
    drawn = random.SystemRandom()  # a seed that tests share would give each process the same
    for _ in range(_TRIES):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", drawn.choice(share) if len(share) > _TRIES else 0))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise OSError(f"no free port in {_TRIES} tries")
