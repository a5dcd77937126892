"""Gives models memory as the plan says: who does not fit waits until idle ones have made room."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from switchyard.local.errors import LocalError
from switchyard.local.memory.plan import Decision, Fits, Never, Resident, Use, Waits, decide, size

# A request that waits longer would rather hear why: others may have streams that go on for minutes.
PATIENCE_SECONDS = 30.0

_POLL_SECONDS = 0.1  # for a model that becomes idle, which tells nobody

logger = logging.getLogger(__name__)


class NoRoomError(LocalError):
    """There is no memory for a model; ``final`` if there never will be."""

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class Occupant(Protocol):
    """A model that may be awake."""

    @property
    def pinned(self) -> bool: ...
    @property
    def busy(self) -> bool: ...
    @property
    def last_used(self) -> float: ...

    def make_room(self) -> None:
        """Sleep soon, if it is still idle."""


class Lease:
    """Memory of one process; whoever holds it sets ``ending`` when that is told to end."""

    def __init__(self, name: str, count: int, occupant: Occupant) -> None:
        self.name = name
        self.bytes = count
        self.occupant = occupant
        self.ending = False
        self.pids: Sequence[int] = ()

    def resident(self, measured: Mapping[int, int]) -> Resident:
        """Return how the process counts: by what was measured where nobody knew what it needs."""
        occupant = self.occupant
        use: Use = "ending" if self.ending else "pinned" if occupant.pinned else "busy" if occupant.busy else "idle"
        count = self.bytes or sum(measured.get(pid, 0) for pid in self.pids)
        return Resident(name=self.name, bytes=count, use=use, last_used=occupant.last_used)


class Room:
    """The memory that models may take: ``capacity`` bytes, less what ``others`` hold, by their names.

    ``measure`` returns what a process holds of which nobody knows how much it needs. Both run in a thread.
    """

    def __init__(
        self,
        capacity: int,
        others: Callable[[], Mapping[str, int]] = dict,
        measure: Callable[[int], int] = lambda pid: 0,
    ) -> None:
        self.capacity = capacity
        self._measure = measure
        self._measured: Mapping[int, int] = {}
        self._beside: Mapping[str, int] = {}
        self._others = others
        self._leases: list[Lease] = []
        self._changed = asyncio.Event()

    def decide(self, needed: int) -> Decision:
        """Return what taking so much would mean now, by what was measured last."""
        others = [Resident(name=name, bytes=held, use="pinned") for name, held in self._beside.items() if held]
        leased = [lease.resident(self._measured) for lease in self._leases]
        return decide(needed, [*others, *leased], self.capacity)

    async def take(
        self, name: str, needed: int, occupant: Occupant, on_wait: Callable[[str], None], *, patience: float
    ) -> Lease:
        """Wait until there is room, for at most ``patience`` seconds; ``on_wait`` gets the reason.

        Raises:
            NoRoomError: there is none, and why.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while True:
            if needed:
                await self._look()
            self._changed.clear()
            decision = self.decide(needed) if needed else Fits()
            if decision == Fits():
                lease = Lease(name, needed, occupant)
                self._leases.append(lease)
                return lease
            if isinstance(decision, Never):
                raise NoRoomError(decision.reason, final=True)
            reason = self._make_room(needed, decision)
            on_wait(reason)
            if loop.time() >= end:
                raise NoRoomError(reason, final=False)
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def give_back(self, lease: Lease) -> None:
        """Free what a process that has ended held."""
        if lease in self._leases:
            self._leases.remove(lease)
            self._changed.set()

    async def _look(self) -> None:
        """Measure those of whom nobody knows what they need; that reads many files of the kernel."""
        pids = [pid for lease in self._leases if not lease.bytes for pid in lease.pids]
        self._measured = await asyncio.to_thread(lambda: {pid: self._measure(pid) for pid in pids})
        self._beside = await asyncio.to_thread(self._others)

    def _make_room(self, needed: int, decision: Fits | Waits) -> str:
        if isinstance(decision, Waits):
            return decision.reason
        for lease in self._leases:
            if lease.name in decision.sleep and not lease.ending:
                logger.info("an idle model makes room", extra={"model": lease.name})
                lease.occupant.make_room()
        return f"waits for {size(needed)} of memory, which {', '.join(decision.sleep)} is giving back"
