"""Calls of known length on a fair queue, in a time of its own."""

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from switchyard.gateway.admission.fair_queue import FairQueue


@dataclass(frozen=True)
class Waiting:
    """A call that asked for a place, the ``number``-th of all."""

    number: int
    tenant: str
    seconds: float


@dataclass
class Platform:
    """A model with ``places`` whose calls take as long as they say."""

    places: int
    horizon: float = 1.0
    now: float = 0.0
    granted: list[Waiting] = field(default_factory=list)
    weights: dict[str, int] = field(default_factory=dict)
    place_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    on_granted: Callable[[Waiting], None] = lambda call: None

    def __post_init__(self) -> None:
        self.queue: FairQueue[Waiting] = FairQueue(self.places, lambda: self.now, horizon_seconds=self.horizon)
        self.waiting: dict[str, list[Waiting]] = defaultdict(list)
        self.running: list[tuple[float, int, Waiting]] = []
        self._numbers = count()

    def arrive(self, tenant: str, seconds: float) -> Waiting:
        call = Waiting(next(self._numbers), tenant, seconds)
        if self.queue.try_enter(tenant):
            self._begin(call)
        else:
            self.waiting[tenant].append(call)
            self.queue.wait(tenant, self.weights.get(tenant, 1), call)
        self.check()
        return call

    def cancel(self, call: Waiting) -> None:
        self.waiting[call.tenant].remove(call)
        self.queue.cancel(call.tenant, call)
        self.grant()

    def resize(self, places: int) -> None:
        self.places = self.queue.places = places
        self.grant()

    def end_next(self) -> None:
        """Go on to the next end of a call."""
        self.advance(self.running[0][0])
        _, _, call = heapq.heappop(self.running)
        self.queue.leave(call.tenant)
        self.grant()

    def run(self, until: float) -> None:
        while self.running and self.running[0][0] <= until:
            self.end_next()
        self.advance(until)

    def advance(self, until: float) -> None:
        for _, _, call in self.running:
            self.place_seconds[call.tenant] += until - self.now
        self.now = until

    def grant(self) -> None:
        while (call := self.queue.next()) is not None:
            assert call is self.waiting[call.tenant].pop(0), "first in, first out within a tenant"
            self._begin(call)
        self.check()

    def check(self) -> None:
        """What holds after every event."""
        waiting = sum(map(len, self.waiting.values()))
        assert (self.queue.in_flight, self.queue.waiting) == (len(self.running), waiting)
        assert not waiting or len(self.running) >= self.places, "a place is free while calls wait"

    def _begin(self, call: Waiting) -> None:
        assert len(self.running) < self.places
        self.granted.append(call)
        heapq.heappush(self.running, (self.now + call.seconds, call.number, call))
        self.on_granted(call)
