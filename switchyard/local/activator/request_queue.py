"""The queue of requests in front of one service: who may be sent to its replica, who waits, who is rejected."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from switchyard.http.api_errors import ApiError
from switchyard.local.plan.workloads import Address


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueLimits:
    """How much one service's queue holds at most while its model sleeps, wakes or is at its concurrency limit."""

    # Knative's activator holds 10,000 requests of a revision, its queue-proxy ten times containerConcurrency. Neither
    # counts bytes, because neither reads a body before it has somebody to send it to.
    requests: int = 1024  # a wake takes seconds to a minute: more clients than this would time out before their turn
    body_bytes: int = 48 * 1024 * 1024  # bodies are kept in memory, and every service of a machine has a queue


class _Waiter:
    __slots__ = ("granted", "since", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.since = time.monotonic()
        self.granted: asyncio.Future[Address] = asyncio.get_running_loop().create_future()


class RequestQueue:
    """First in, first out; at most ``concurrency`` requests are in flight at once (0: no limit).

    ``demand`` is called whenever a request has to wait, so that the replica starts; ``on_waiting`` gets the number of
    waiting requests whenever it changes.
    """

    def __init__(
        self,
        name: str,
        *,
        concurrency: int,
        limits: QueueLimits,
        demand: Callable[[], None],
        on_waiting: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._name = name
        self._concurrency = concurrency
        self._limits = limits
        self._demand = demand
        self._on_waiting = on_waiting
        self._address: Address | None = None
        self._rejection: Callable[[], ApiError] | None = None
        self._draining: Callable[[], ApiError] | None = None
        self._stopped = False
        self._waiters: deque[_Waiter] = deque()
        self._bytes = 0
        self.in_flight = 0
        self.responses = 0  # ever: a replica compares them to tell a crash at its start from a later one
        self.last_used = asyncio.get_running_loop().time()
        self.suspected = asyncio.Event()

    @property
    def address(self) -> Address | None:
        """The ready replica, None if there is none."""
        return self._address

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def oldest_seconds(self) -> float:
        """Return how long the request has waited that has waited longest, 0 if none waits; from any thread."""
        began = min((waiter.since for waiter in tuple(self._waiters)), default=0.0)
        return time.monotonic() - began if began else 0.0

    @property
    def busy(self) -> bool:
        """Whether a request is in flight or waits."""
        return self.in_flight > 0 or bool(self._waiters)

    def check_capacity(self, size: int) -> None:
        """Reject a request that could not be queued, before its body is read.

        Raises:
            ApiError: the service cannot run now, or its queue is full.
        """
        self._check_accepting()
        if self._free():
            return
        if self._draining is not None:
            raise self._draining()
        if len(self._waiters) >= self._limits.requests:
            raise ApiError("overloaded", f"{self._name}: {len(self._waiters)} requests are waiting already; try again")
        if self._bytes + size > self._limits.body_bytes:
            raise ApiError("overloaded", f"{self._name}: waiting requests already hold {self._bytes} bytes; try again")

    async def acquire(self, size: int, deadline: float, *, retry: bool = False) -> Address:
        """Wait until the request may be sent; call ``release`` once for every ``acquire`` that returns.

        ``deadline`` is the loop time at which waiting ends; ``retry`` puts a request that was sent before at the front,
        also of a full queue: it was admitted once.

        Raises:
            ApiError: 503 when the queue is full or the service failed, 504 when ``deadline`` passed.
        """
        self._check_accepting() if retry else self.check_capacity(size)
        # A new request may not overtake waiting ones; a retried one has waited before and may.
        if self._free() and (retry or not self._waiters) and self._address is not None:
            self.in_flight += 1
            return self._address
        if self._draining is not None:
            raise self._draining()
        waiter = _Waiter(size)
        # A retried request has waited before and has the least time left, so it goes first.
        self._waiters.appendleft(waiter) if retry else self._waiters.append(waiter)
        self._count(size)
        self._demand()
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter.granted
        except TimeoutError:
            self._pass_on(waiter)
            raise ApiError("upstream_timeout", f"{self._name} could not take the request within its timeout") from None
        except asyncio.CancelledError:
            self._pass_on(waiter)
            raise
        finally:
            # ``_next`` has removed and uncounted whoever was granted or rejected. Who is still here gave up.
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                self._count(-size)
                self._touch()

    def release(self, *, responded: bool = False) -> None:
        """End a request that ``acquire`` admitted; ``responded`` if its replica sent a response."""
        self.in_flight -= 1
        self.responses += responded
        self._touch()
        self._grant()

    def open(self, address: Address) -> None:
        """Send requests to the ready replica at ``address``."""
        if self._stopped:
            return
        self._address, self._rejection = address, None
        self.suspected.clear()
        self._touch()
        self._grant()

    def close(self) -> None:
        """Let requests wait: no replica is ready."""
        self._address = None

    def suspect(self, address: Address) -> None:
        """Send no request to ``address``, where one failed, until the replica has been probed again."""
        # Another address is a newer replica: the failure of its predecessor says nothing about it.
        if self._address == address:
            self._address = None
            self.suspected.set()

    def reject(self, error: Callable[[], ApiError]) -> None:
        """Reject waiting and new requests with ``error``, until ``accept`` or ``open``."""
        self._address = None
        if not self._stopped:
            self._rejection = error
        self.turn_away(error)

    def accept(self) -> None:
        """Let requests wait again after ``reject``."""
        if not self._stopped:
            self._rejection = None

    def drain(self, error: Callable[[], ApiError]) -> None:
        """Reject waiting requests with ``error``, and from now on those that would have to wait.

        What a ready replica can take at once goes on: a step of a graph, for one, belongs to a request that runs.
        """
        self._draining = error
        self.turn_away(error)

    def stop(self, error: Callable[[], ApiError]) -> None:
        """Reject waiting and new requests with ``error`` for good, whatever becomes of the replica."""
        self.reject(error)
        self._stopped = True

    def turn_away(self, error: Callable[[], ApiError]) -> None:
        """Reject those who wait with ``error``; the next ones may wait."""
        # An error for each: tasks that raise the same object would add to one traceback, and `retry_after` counts down.
        while (waiting := self._next()) is not None:
            waiting.set_exception(error())

    def _check_accepting(self) -> None:
        if self._rejection is not None:
            raise self._rejection()

    def _free(self) -> bool:
        return self._address is not None and (self._concurrency == 0 or self.in_flight < self._concurrency)

    def _grant(self) -> None:
        while self._address is not None and self._free() and (granted := self._next()) is not None:
            self.in_flight += 1
            granted.set_result(self._address)

    def _next(self) -> asyncio.Future[Address] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            self._count(-waiter.size)
            if not waiter.granted.done():  # done: its client disconnected in this turn of the event loop
                return waiter.granted
        return None

    def _pass_on(self, waiter: _Waiter) -> None:
        """Pass a slot on that was granted in the same turn of the event loop in which its waiter gave up."""
        future = waiter.granted
        if future.done() and not future.cancelled() and future.exception() is None:
            self.release()

    def _count(self, size: int) -> None:
        self._bytes += size
        self._on_waiting(len(self._waiters))

    def _touch(self) -> None:
        self.last_used = asyncio.get_running_loop().time()
