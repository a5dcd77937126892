"""The queues of calls that wait for models without a free place."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from switchyard.gateway.admission.fair_queue import FairQueue, Priority
from switchyard.gateway.lookup import Visible
from switchyard.gateway.settings import Settings
from switchyard.http.api_errors import ApiError
from switchyard.shares import Shares


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingLimits:
    """How much waits at most in all queues of a gateway together; a tenant may fill half of what is free."""

    # Half of MAX_IN_FLIGHT, of which a waiting call holds a place: what waits for full models leaves others as much.
    calls: int
    # Waiting calls keep their bodies in memory: at most the longest body, 8 MiB less than the server has for bodies.
    body_bytes: int
    seconds: float = 300.0  # Knative's default for how long a request may wait for the first byte of its response


_LEARNING = 0.1  # of a new value in the mean: it follows within some twenty calls, and one odd call is nothing


class _Waiter:
    __slots__ = ("granted", "woken")

    def __init__(self) -> None:
        self.granted = False
        self.woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class _Queue:
    """The queue of one model server, which may have several models."""

    __slots__ = ("fair", "model", "seconds")

    def __init__(self, places: int, model: str) -> None:
        self.fair: FairQueue[_Waiter] = FairQueue(places, asyncio.get_running_loop().time)
        self.model = model
        self.seconds = 0.0  # that a call holds a place: of recent ones more than of those before

    def held_for(self, seconds: float) -> None:
        """Learn from a call that has ended."""
        self.seconds += (seconds - self.seconds) * (_LEARNING if self.seconds else 1)

    def grant(self) -> None:
        """Let those go on for whom there is a place."""
        while (waiter := self.fair.next()) is not None:
            waiter.granted = True
            # Done: its call was cancelled in this turn of the loop, and gives the place back.
            if not waiter.woken.done():
                waiter.woken.set_result(None)


class Queues:
    """Lets as many calls go on to a model server at a time as it has places, and others wait in a fair queue.

    A server is known by its URL. ``places_of`` returns the places that a model's server has now, None for no limit: it
    is asked again whenever a call ends while others wait, as replicas come and go; it may raise an ``ApiError``.
    """

    def __init__(self, limits: WaitingLimits, places_of: Callable[[str], int | None]) -> None:
        self._limits = limits
        self._places_of = places_of
        self._queues: dict[str, _Queue] = {}
        self._calls = Shares(limits.calls)
        self._bytes = Shares(limits.body_bytes)
        self._waiters: dict[_Waiter, str] = {}  # each with its model
        self._draining = False

    def try_acquire(self, server: str, places: int, model: str, tenant: str) -> bool:
        """Take a free place that nobody waits for; return whether there was one. ``release`` gives it back."""
        queue = self._queues.get(server)
        if queue is None:
            queue = self._queues[server] = _Queue(places, model)
        elif queue.fair.places != places:
            queue.fair.places = places
            queue.grant()
        return queue.fair.try_enter(tenant)

    def expected_wait(self, server: str, priority: Priority) -> float:
        """Return after how many seconds a call that begins to wait now is likely to have a place.

        It is as if all that wait were of one tenant: what is waiting before it, by how long calls have held a place
        lately (Little's law). 0 where nobody knows yet.
        """
        queue = self._queues.get(server)
        if queue is None:
            return 0.0
        return (queue.fair.before(priority) + 1) * queue.seconds / max(1, queue.fair.places)

    async def acquire(
        self, server: str, model: str, tenant: str, weight: float, size: int, priority: Priority = Priority.DEFAULT
    ) -> None:
        """Wait for a place; ``try_acquire`` found none. ``size`` bytes are kept meanwhile.

        Raises:
            ApiError: 429 when the tenant has as much waiting as it may, 503 when no more can wait, it took too long or
                this gateway drains.
        """
        if self._draining:
            raise _stopping(model)
        self._require_room(model, tenant, size)
        queue, waiter = self._queues[server], _Waiter()
        self._waiters[waiter] = model
        self._calls.take(tenant)
        self._bytes.take(tenant, size)
        queue.fair.wait(tenant, weight, waiter, priority)
        try:
            async with asyncio.timeout(self._limits.seconds):
                await waiter.woken
        except BaseException as err:
            if waiter.granted:
                self.release(server, tenant)
            else:
                queue.fair.cancel(tenant, waiter)
            if isinstance(err, TimeoutError):
                raise _full(f"model {model} had no place for this request within {self._limits.seconds:g} s") from None
            raise
        finally:
            del self._waiters[waiter]
            self._calls.give_back(tenant)
            self._bytes.give_back(tenant, size)

    def load(self, server: str) -> tuple[int, int]:
        """Return how many calls a server has in flight, and how many wait for a place of it."""
        queue = self._queues.get(server)
        return (0, 0) if queue is None else (queue.fair.in_flight, queue.fair.waiting)

    def drain(self) -> None:
        """Let nobody wait any more: who waits gets 503 now, and can wait at another gateway for as long as it may."""
        self._draining = True
        for waiter, model in self._waiters.items():
            if not waiter.woken.done():
                waiter.woken.set_exception(_stopping(model))

    def release(self, server: str, tenant: str, seconds: float | None = None) -> None:
        """Give a place back, and to whoever is next; it was held for ``seconds``, None if it was not used."""
        queue = self._queues[server]
        if seconds is not None:
            queue.held_for(seconds)
        queue.fair.leave(tenant)
        if queue.fair.waiting:
            with suppress(ApiError):  # the catalog cannot be read: as many places as before
                places = self._places_of(queue.model)
                queue.fair.places = sys.maxsize if places is None else places
            queue.grant()
        elif not queue.fair.in_flight:
            del self._queues[server]

    def _require_room(self, model: str, tenant: str, size: int) -> None:
        full = self._calls.full(tenant) or self._bytes.full(tenant, size)
        if full == "owner":
            held, kept = self._calls.held(tenant), self._bytes.held(tenant)
            raise ApiError(
                "too_many_requests",
                f"model {model} is full, and tenant {tenant} has {held} requests with {kept} bytes waiting, as many as "
                "it may; send fewer at a time, and try again",
                retry_after=1,
            )
        if full == "platform":
            raise _full(f"model {model} is full, and {self._calls.used} requests of all tenants are waiting")


def queues_of(settings: Settings, visible: Visible) -> Queues:
    """Return a gateway's queues; the catalog that it shows says how many places a model has."""

    def places_of(name: str) -> int | None:
        model = visible.to(None).get(name)
        return None if model is None else model.concurrency

    limits = WaitingLimits(calls=max(1, settings.max_in_flight // 2), body_bytes=settings.max_body_bytes)
    return Queues(limits, places_of)


def _full(reason: str) -> ApiError:
    return ApiError("overloaded", f"{reason}; try again", retry_after=1)


def _stopping(model: str) -> ApiError:
    return ApiError("shutting_down", f"model {model} is full, and this gateway is stopping; try again")
