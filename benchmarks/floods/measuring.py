"""What a flood costs the process that it is run against, and its other clients."""

import http.client
import os
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import psutil

from benchmarks.floods import http1, http2
from benchmarks.floods.attacker import Outcome, attack
from benchmarks.floods.paths import Paths
from benchmarks.floods.targets import Target
from benchmarks.processes import Tree

_PAUSE_SECONDS = 0.02
_SETTLE_SECONDS = 0.5


@dataclass
class Waits:
    """What another client waits, in milliseconds; ``failed`` counts what it got no response to."""

    port: int
    page: str
    taken: list[float] = field(default_factory=list)
    failed: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until it is over."""
        kept = self._connection()
        while not self.over.wait(_PAUSE_SECONDS):
            other = self._connection()
            for connection in (kept, other):
                began = time.perf_counter()
                try:
                    connection.request("GET", self.page)
                    connection.getresponse().read()
                    self.taken.append((time.perf_counter() - began) * 1000)
                except (OSError, http.client.HTTPException):
                    self.failed += 1
                    connection.close()
            other.close()
        kept.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    @property
    def share_failed(self) -> float:
        return self.failed / max(1, self.failed + len(self.taken))

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.taken, n=100)[percent - 1] if len(self.taken) > 1 else float("inf")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One flood against one process: megabytes over idle, seconds of a processor in one of flood."""

    target: str
    flood: str
    over_idle: float
    processor: float
    waits: Waits
    outcome: Outcome


def _attack(paths: Paths, name: str, port: int, seconds: float) -> Outcome:
    os.sched_setaffinity(0, [0])
    flood = next(flood for flood in (*http1.floods(paths), *http2.floods(paths)) if flood.name == name)
    return attack(flood, port, seconds, again=True)


def _measure(pool: ProcessPoolExecutor, target: Target, flood: str, seconds: float) -> Row:
    tree, process = Tree(target.pid), psutil.Process(target.pid)
    idle = most = process.memory_full_info().pss
    before, began = tree.cpu_ms(), time.perf_counter()
    waits = Waits(target.port, target.paths.page.decode())
    asking = threading.Thread(target=waits.run)
    asking.start()
    outcome: Future[Outcome] = pool.submit(_attack, target.paths, flood, target.port, seconds)
    while not outcome.done():
        time.sleep(_SETTLE_SECONDS)
        most = max(most, process.memory_full_info().pss)
    took, spent = time.perf_counter() - began, tree.cpu_ms() - before
    waits.over.set()
    asking.join()
    time.sleep(_SETTLE_SECONDS)
    return Row(
        target=target.name,
        flood=flood,
        over_idle=(most - idle) / 2**20,
        processor=spent / took / 1000,
        waits=waits,
        outcome=outcome.result(),
    )


def rows_of(targets: list[Target], wanted: str, seconds: float) -> Iterator[Row]:
    """Run all floods whose names have ``wanted``."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=os.nice, initargs=(5,)) as pool:
        for target in targets:
            for flood in (*http1.floods(target.paths), *http2.floods(target.paths)):
                if wanted in flood.name:
                    yield _measure(pool, target, flood.name, seconds)
