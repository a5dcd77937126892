"""The lines of a batch that ask one model: run as many at a time as the model has places for."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from switchyard.gateway.batches.concurrency import AdaptiveConcurrency
from switchyard.gateway.batches.lines.line import ATTEMPTS, Failed, Limited, Outcome
from switchyard.gateway.batches.lines.results import Result

_LOOK_SECONDS = 0.1  # between two looks at whether clients have left a place
_END_SECONDS = 30.0  # that lines under way get to end when their batch is cancelled or its time is over


class Places(Protocol):
    """The places of one model."""

    def take(self) -> Callable[[], None] | None:
        """Take a place; return how it is given back, None if there is none."""


class Group:
    """Runs lines; ``is_stopped`` says that no further one begins, ``is_held`` that none does for now.

    The first line runs alone, so that a model that sleeps is waked by one; then as many as make it quicker. A limit
    that is reached stops all for as long as it says, and begins again with one.
    """

    def __init__(
        self,
        ask: Callable[[int, int], Awaitable[Outcome]],
        places: Places,
        add: Callable[[Result], None],
        *,
        is_stopped: Callable[[], bool],
        is_held: Callable[[], bool],
    ) -> None:
        self._ask = ask
        self._places = places
        self._add = add
        self._is_stopped = is_stopped
        self._is_held = is_held
        self._pending: deque[int] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._resumes = 0.0
        self._error: BaseException | None = None
        self._time = asyncio.get_running_loop().time
        self._concurrency = AdaptiveConcurrency(self._time)

    async def run(self, numbers: Iterable[int]) -> None:
        """Run lines until all are done, or it is stopped; what still runs some time later is cancelled."""
        self._pending.extend(numbers)
        stopped: float | None = None
        try:
            while self._running or (self._pending and not self._is_stopped()):
                if self._error is not None:
                    raise self._error
                if self._is_stopped():
                    stopped = stopped or self._time()
                    if self._time() - stopped > _END_SECONDS:
                        return
                else:
                    self._begin()
                self._changed.clear()
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            await self._cancel()
        if self._error is not None:
            raise self._error

    def wake(self) -> None:
        """Look now at what has changed."""
        self._changed.set()

    def _begin(self) -> None:
        while self._pending and len(self._running) < self._concurrency.now and self._time() >= self._resumes:
            if self._is_held() or (give_back := self._places.take()) is None:
                return
            task = asyncio.create_task(self._line(self._pending.popleft()))
            self._running.add(task)
            task.add_done_callback(lambda done, free=give_back: self._ended(done, free))  # type: ignore[misc]

    def _ended(self, task: asyncio.Task[None], give_back: Callable[[], None]) -> None:
        give_back()
        self._running.discard(task)
        if not task.cancelled():
            self._error = self._error or task.exception()
        self._changed.set()

    async def _line(self, number: int) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            began = self._time()
            outcome = await self._ask(number, attempt)
            if isinstance(outcome, Limited):
                self._pending.appendleft(number)
                self._concurrency.reset()
                self._resumes = self._time() + outcome.seconds
                return
            if isinstance(outcome, Result):
                self._concurrency.ended(self._time() - began)
                self._add(outcome)
                return
            last: Failed = outcome
            if attempt < ATTEMPTS:
                # It keeps its place meanwhile: the fewer lines, the sooner the model recovers.
                await asyncio.sleep(last.seconds)
        self._add(last.result)

    async def _cancel(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
