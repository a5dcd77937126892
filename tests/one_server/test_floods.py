"""Every flood of ``benchmarks.floods`` against one process: it stays small, serves others and ends what it should."""

import http.client
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from benchmarks.floods import http1, http2
from benchmarks.floods.attacker import Flood, attack
from benchmarks.floods.paths import Paths
from benchmarks.processes import Command, free_port
from tests.one_server.small_server import STREAM

PATHS = Paths(page=b"/", upload=b"/", stream=STREAM, idle=500)
FLOODS = [*http1.floods(PATHS), *http2.floods(PATHS)]
MOST_SECONDS = 30.0  # a flood ends as soon as its end has been seen
UNSEEN_SECONDS = 10.0  # for clients that neither read nor write, who see no end before they look; ten stalls
# What a process may grow by: bodies of 8 MB, responses that 200 clients do not read, 900 streams, and the heap's gaps.
MOST_BYTES = 48 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Flooded:
    process: psutil.Process
    port: int
    log: Path

    @property
    def memory(self) -> int:
        return int(self.process.memory_full_info().pss)

    def ask(self) -> int:
        """The status that another client gets, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flooded]:
    port = free_port()
    command = Command(
        [sys.executable, "-m", "tests.one_server.small_server", str(port)], tmp_path_factory.mktemp("floods") / "log"
    )
    try:
        command.wait_for(f"http://127.0.0.1:{port}/")
        yield Flooded(process=psutil.Process(command.tree.pid), port=port, log=command.log)
    finally:
        command.stop()


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
def test_a_flood_is_bounded_and_others_are_served(flooded: Flooded, flood: Flood) -> None:
    before = most = flooded.memory
    statuses: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        seconds = MOST_SECONDS if flood.again or flood.reads else UNSEEN_SECONDS
        running = pool.submit(attack, flood, flooded.port, seconds, again=False)
        while not statuses or not running.done():
            statuses.append(flooded.ask())
            most = max(most, flooded.memory)
    outcome = running.result()
    assert set(statuses) == {200}
    assert outcome.has(flood.end), f"{flood.end} expected: {outcome}"
    assert most - before < MOST_BYTES


def test_what_the_floods_took_is_given_back(flooded: Flooded) -> None:
    assert flooded.ask() == 200
    assert flooded.process.num_fds() < 50
    assert "Traceback" not in flooded.log.read_text()
