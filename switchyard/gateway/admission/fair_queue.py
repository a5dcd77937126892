"""Which of the waiting calls of a model is next: a queue that is fair between tenants, without any I/O."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from enum import IntEnum
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

# What a tenant holds now weighs as if it went on for another minute, the length of a long response: so the present
# counts for more than the past, and whoever was served little does not take every place that becomes free.
HORIZON_SECONDS = 60.0
_CALL_SECONDS = 0.001  # the least that a call is charged, so that calls of no length cannot be first for ever


class Priority(IntEnum):
    """Which of a tenant's items is first; what is ``FLEX`` waits behind other tenants' as well."""

    PRIORITY = 0
    DEFAULT = 1
    FLEX = 2


class _Flow(Generic[Item]):
    """One tenant: ``used`` are the place-seconds that it had while somebody waited, divided by its weight.

    ``waiting`` are its items by priority, the lowest first.
    """

    __slots__ = ("held", "since", "turn", "used", "waiting", "weight")

    def __init__(self, now: float) -> None:
        self.weight = 1.0
        self.held = 0
        self.used = 0.0
        self.since = now
        self.turn = 0
        # Each removes in O(1) from anywhere, as cancelled calls need.
        self.waiting: tuple[OrderedDict[Item, None], ...] = tuple(OrderedDict() for _ in Priority)

    def advance(self, now: float) -> None:
        self.used += self.held * (now - self.since) / self.weight
        self.since = now

    def first(self) -> OrderedDict[Item, None] | None:
        """Return the items of the first priority that has any."""
        return next(filter(None, self.waiting), None)

    def only_flex(self) -> bool:
        return self.first() is self.waiting[Priority.FLEX]


class FairQueue(Generic[Item]):
    """At most ``places`` calls in flight; further ones wait, first in, first out within a tenant's priority.

    A free place goes to the waiting tenant that has had least of the model for its weight: place-seconds, not
    calls, as a long call keeps others out for as long as many short ones. This is start-time fair queueing (Goyal,
    Vin, Cheng, SIGCOMM 1996) for calls whose length is known only afterwards, as Kubernetes' API Priority and
    Fairness has it (KEP-1040). Tenants that have only flexible calls come after all others, for as long as there
    are any. A tenant that begins to wait starts level with the one that had least: being idle earns nothing. The
    past is forgotten as soon as nobody waits.

    ``now`` is in seconds. Whoever changes ``places``, or calls ``leave`` or ``cancel``, calls ``next`` until it returns
    None; then no place is free while a call waits.
    """

    def __init__(self, places: int, now: Callable[[], float], *, horizon_seconds: float = HORIZON_SECONDS) -> None:
        self.places = places
        self.in_flight = 0
        self.waiting = 0
        self._now = now
        self._horizon = horizon_seconds
        self._turns = count()
        self._flows: dict[str, _Flow[Item]] = {}
        self._backlogged: dict[str, _Flow[Item]] = {}

    def try_enter(self, tenant: str) -> bool:
        """Take a free place, unless others wait for it; return whether there was one."""
        if self.waiting or self.in_flight >= self.places:
            return False
        self.in_flight += 1
        self._flow(tenant).held += 1
        return True

    def wait(self, tenant: str, weight: float, item: Item, priority: Priority = Priority.DEFAULT) -> None:
        """Let ``item`` wait behind those of its tenant and priority."""
        now = self._now()
        if not self.waiting:
            self._forget(now)
        flow = self._flow(tenant)
        flow.advance(now)
        flow.weight = weight
        if flow.first() is None:
            for other in self._backlogged.values():
                other.advance(now)
            flow.used = max(flow.used, min((other.used for other in self._backlogged.values()), default=0.0))
            flow.turn = next(self._turns)
            self._backlogged[tenant] = flow
        flow.waiting[priority][item] = None
        self.waiting += 1

    def cancel(self, tenant: str, item: Item) -> None:
        """Remove a waiting item."""
        flow = self._flows[tenant]
        for items in flow.waiting:
            items.pop(item, None)
        self._one_less(tenant, flow)

    def before(self, priority: Priority) -> int:
        """Return how many items wait that are of this priority or come before it."""
        return sum(len(items) for flow in self._backlogged.values() for items in flow.waiting[: priority + 1])

    def next(self) -> Item | None:
        """Give a free place to the item whose turn it is, and return it; None if no place is free or nobody waits."""
        if not self.waiting or self.in_flight >= self.places:
            return None
        now = self._now()
        tenant, flow = min(self._backlogged.items(), key=lambda entry: self._rank(entry[1], now))
        items = flow.first()
        assert items is not None
        item, _ = items.popitem(last=False)
        flow.held += 1
        flow.used += _CALL_SECONDS / flow.weight
        flow.turn = next(self._turns)
        self.in_flight += 1
        self._one_less(tenant, flow)
        return item

    def leave(self, tenant: str) -> None:
        """Free the place of a call that has ended."""
        flow = self._flows[tenant]
        flow.advance(self._now())
        flow.held -= 1
        self.in_flight -= 1
        # While others wait, what it used is kept, so that leaving and coming back earns nothing either.
        if not flow.held and not self.waiting:
            del self._flows[tenant]

    def _flow(self, tenant: str) -> _Flow[Item]:
        flow = self._flows.get(tenant)
        if flow is None:
            flow = self._flows[tenant] = _Flow(self._now())
        return flow

    def _rank(self, flow: _Flow[Item], now: float) -> tuple[bool, float, int]:
        """Return what is least for the tenant whose turn it is; of equal ones the one that has waited longest."""
        flow.advance(now)
        return flow.only_flex(), flow.used + flow.held * self._horizon / flow.weight, flow.turn

    def _one_less(self, tenant: str, flow: _Flow[Item]) -> None:
        self.waiting -= 1
        if flow.first() is None:
            del self._backlogged[tenant]

    def _forget(self, now: float) -> None:
        self._flows = {tenant: flow for tenant, flow in self._flows.items() if flow.held}
        for flow in self._flows.values():
            flow.used, flow.since = 0.0, now
