"""Bodies that are costly to parse, against every process that listens: it stays small, and others are served."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil
import pytest

from tests.one_server.conftest import Started
from tests.one_server.processes import STARTED_BY, Process

LARGE = 16 * 1024 * 1024  # bytes; the least of all limits of a body
START = b'{"model":"nobody","messages":['
BODIES = {
    "lists": START + b",".join([b"[]"] * (LARGE // 3 - 100)) + b"]}",
    "members": START + b",".join([b'{"":0}'] * (LARGE // 7 - 100)) + b"]}",
    "depth": START + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    "one text": START + b'{"role":"user","content":"' + b"x" * (LARGE - 100) + b'"}]}',
    "short texts": START + b",".join([b'"%b"' % (b"y" * 200)] * (LARGE // 204)) + b"]}",
    "escapes": START + b'{"role":"user","content":"' + b"\\u0061" * (LARGE // 6 - 100) + b'"}]}',
}
# What all bodies together may take, an outline, and the heap's gaps; 450 MB where the lists are parsed.
MOST_BYTES = 64 * 1024 * 1024
AT_ONCE = 4
MOST_SECONDS = 1.0  # some 50 ms on a machine that does nothing else; 2 to 8 s where they are parsed
TRIES = 3  # a machine that does something else too is slow once, a server that parses is slow each time


def process_at(port: int) -> psutil.Process:
    listening = psutil.net_connections("tcp")
    (pid,) = {one.pid for one in listening if one.status == psutil.CONN_LISTEN and one.laddr.port == port}
    return psutil.Process(pid)


def ask(process: Process, method: str, path: bytes, body: bytes = b"") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
    try:
        connection.request(method, path.decode(), body, {"content-type": "application/json"})
        return connection.getresponse().status
    except ConnectionError:  # a response that was sent while the body was still on its way may be lost
        return 413
    finally:
        connection.close()


@dataclass(frozen=True)
class Cost:
    """Of one body: bytes over what the process had, and seconds that another client waited at most."""

    memory: int
    wait: float


def cost_of(process: Process, body: bytes) -> Cost:
    asked = process_at(process.port)
    before = most = asked.memory_full_info().pss
    longest = 0.0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(ask, process, "POST", process.path, body) for _ in range(AT_ONCE)]
        while not all(one.done() for one in running):
            began = time.monotonic()
            assert ask(process, "GET", process.page) == 200
            longest = max(longest, time.monotonic() - began)
            most = max(most, asked.memory_full_info().pss)
    statuses = {one.result() for one in running}
    assert statuses <= {400, 404, 413, 503, process.status}  # 503 where there is no memory for all of them
    assert statuses != {503}
    return Cost(most - before, longest)


# The activator parses nothing, and asks a replica whatever it is asked.
@pytest.mark.parametrize("name", [name for name in STARTED_BY if name != "activator"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_costly_bodies_take_little_memory_and_no_other_clients_turn(started: Started, name: str, body: bytes) -> None:
    process = started.get(name)
    costs = [cost_of(process, body)]
    while costs[-1].wait >= MOST_SECONDS and len(costs) < TRIES:
        costs.append(cost_of(process, body))
    assert max(cost.memory for cost in costs) < MOST_BYTES
    assert min(cost.wait for cost in costs) < MOST_SECONDS
