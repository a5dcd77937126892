"""Who may be sent to a replica now, who waits for it, and who is refused."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from switchyard.local.plan.workloads import Address


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueLimits:
    """What one service holds at most while its model sleeps, wakes or is full."""

    requests: int = 1024
    body_bytes: int = 128 * 1024 * 1024


class UnavailableError(Exception):
    """A request cannot be served now; ``status`` is the HTTP status, ``retry_after`` seconds or None."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class _Waiter:
    __slots__ = ("granted", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.granted: asyncio.Future[Address] = asyncio.get_running_loop().create_future()


class RequestQueue:
    """The queue in front of one service: first in, first out, at most ``concurrency`` at once (0: no limit).

    ``demand`` is called whenever a request has to wait, so that the replica starts; ``held`` is told how many wait.
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
        self._rejection: Callable[[], UnavailableError] | None = None
        self._waiters: deque[_Waiter] = deque()
        self._bytes = 0
        self.in_flight = 0
        self.responses = 0
        self.last_used = asyncio.get_running_loop().time()
        self.suspected = asyncio.Event()

    @property
    def address(self) -> Address | None:
        """The ready replica, if there is one."""
        return self._address

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered or waits."""
        return self.in_flight > 0 or bool(self._waiters)

    def check_capacity(self, size: int) -> None:
        """Refuses at once what could not be held, before its body is read.

        Raises:
            UnavailableError: the service cannot run now, or too much waits already.
        """
        if self._rejection is not None:
            raise self._rejection()
        if self._free():
            return
        if len(self._waiters) >= self._limits.requests:
            raise UnavailableError(503, f"{self._name}: {len(self._waiters)} requests wait already; try again", 1.0)
        if self._bytes + size > self._limits.body_bytes:
            raise UnavailableError(
                503, f"{self._name}: waiting requests hold {self._bytes} bytes already; try again", 1.0
            )

    async def acquire(self, size: int, deadline: float, *, retry: bool = False) -> Address:
        """Waits until the request may be sent; every ``enter`` that returns needs one ``leave``.

        ``deadline`` is the loop's time at which waiting ends; ``again`` puts a request that was sent before in front.

        Raises:
            UnavailableError: 503 when too much waits or the service failed, 504 when ``deadline`` came first.
        """
        self.check_capacity(size)
        if self._free() and (retry or not self._waiters) and self._address is not None:
            self.in_flight += 1
            return self._address
        waiter = _Waiter(size)
        self._waiters.appendleft(waiter) if retry else self._waiters.append(waiter)
        self._count(size)
        self._demand()
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter.granted
        except TimeoutError:
            self._pass_on(waiter)
            raise UnavailableError(504, f"{self._name} could not take the request within its timeout") from None
        except asyncio.CancelledError:
            self._pass_on(waiter)
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                self._count(-size)
                self._touch()

    def release(self, *, responded: bool = False) -> None:
        """Ends a request that ``enter`` let in."""
        self.in_flight -= 1
        self.responses += responded
        self._touch()
        self._grant()

    def open(self, address: Address) -> None:
        """A replica is ready at ``address``."""
        self._address, self._rejection = address, None
        self.suspected.clear()
        self._touch()
        self._grant()

    def close(self) -> None:
        """No replica is ready; requests wait."""
        self._address = None

    def suspect(self, address: Address) -> None:
        """A request failed at ``address``: nobody else is sent there until the replica has been asked again."""
        if self._address == address:
            self._address = None
            self.suspected.set()

    def reject(self, error: Callable[[], UnavailableError]) -> None:
        """The service cannot run: refuses what waits and what comes, until ``accept`` or ``open``."""
        self._address, self._rejection = None, error
        while (waiting := self._next()) is not None:
            waiting.set_exception(error())

    def accept(self) -> None:
        """Requests may wait again."""
        self._rejection = None

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
            if not waiter.granted.done():  # done: its client left in this turn
                return waiter.granted
        return None

    def _pass_on(self, waiter: _Waiter) -> None:
        """A grant that came in the same turn as the waiter's end is for the next one."""
        future = waiter.granted
        if future.done() and not future.cancelled() and future.exception() is None:
            self.release()

    def _count(self, size: int) -> None:
        self._bytes += size
        self._on_waiting(len(self._waiters))

    def _touch(self) -> None:
        self.last_used = asyncio.get_running_loop().time()
