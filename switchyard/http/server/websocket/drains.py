"""Who waits until a client has taken enough: several at a time, in the order in which they came."""

import asyncio
from collections import deque


class Drains:
    """Lets one write after the other while the client is slow, so that none of them takes the connection for itself."""

    __slots__ = ("_closed", "_loop", "_waiters", "paused")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.paused = False  # more waits in the socket's buffer than its client should let wait
        self._loop = loop
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def congested(self) -> bool:
        """Whether a writer should wait, for the client or for those who wait already."""
        return self.paused or bool(self._waiters)

    async def wait(self) -> None:
        """Return when it is this caller's turn to write."""
        if self._closed:
            await asyncio.sleep(0)  # the writer is cancelled, and has to see it
            return
        if not self.congested:
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._wake_next()

    def close(self) -> None:
        """Let everybody go on: what they write is dropped."""
        self._closed = True
        while self._waiters:
            self._wake()

    def _wake_next(self) -> None:
        if not self.paused and self._waiters:
            self._wake()
            # The loop runs the woken task first, so it has written when this looks whether the client keeps up.
            self._loop.call_soon(self._wake_next)

    def _wake(self) -> None:
        waiter = self._waiters.popleft()
        if not waiter.done():  # its task may have been cancelled
            waiter.set_result(None)
