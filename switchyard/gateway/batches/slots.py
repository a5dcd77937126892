"""How many lines of batches may run at a time: what the calls of clients leave of each model."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

LINES = 64  # of all batches of a gateway: as many responses are in memory, of 4 MiB at most
PLACES = 8  # of a model whose places nobody knows, such as a graph
_PEAK_SECONDS = 10.0  # for so long the most calls of clients that were seen are expected again


class Load(NamedTuple):
    """What clients have in flight at a model's server, and how many of their calls wait for a place of it."""

    live: int
    waiting: int


@dataclass(slots=True)
class _Peak:
    live: int = 0
    until: float = 0.0


class LineSlots:
    """Gives lines the places that clients did not use of late, less one for the next client that comes.

    While a client waits, no line begins. One line at least may run of a model that has a place free; where models
    ``share`` a machine, one alone while a client's request runs.
    """

    def __init__(self, load: Callable[[str], Load], *, share: bool = False) -> None:
        self._share = share
        self._load = load
        self._held: Counter[str] = Counter()
        self._peaks: dict[str, _Peak] = {}
        self._time = asyncio.get_running_loop().time

    @property
    def all_held(self) -> int:
        """How many lines run."""
        return self._held.total()

    def held(self, server: str) -> int:
        """Return how many lines run at a model's server."""
        return self._held[server]

    def take(self, server: str, places: int | None) -> bool:
        """Take a place of a model's server for a line, if there is one; ``give_back`` returns it."""
        held = self._held[server]
        live, waiting = self._load(server)
        most = PLACES if places is None else places
        room = 1 if self._share and live else max(1, most - self._expected(server, live) - 1)
        if waiting or held >= room or held + live >= most or self.all_held >= LINES:
            return False
        self._held[server] += 1
        return True

    def give_back(self, server: str) -> None:
        """Return a place."""
        self._held[server] -= 1
        if not self._held[server]:
            del self._held[server]
            self._peaks.pop(server, None)

    def _expected(self, server: str, live: int) -> int:
        peak, now = self._peaks.setdefault(server, _Peak()), self._time()
        if live >= peak.live or now > peak.until:
            peak.live, peak.until = live, now + _PEAK_SECONDS
        return peak.live
