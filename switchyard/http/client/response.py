"""A response as it arrives: status and headers first, then its body in chunks as the socket delivers them."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from switchyard.http.client.errors import ResponseTooLargeError, UpstreamError
from switchyard.http.client.limits import Limits

Headers = list[tuple[bytes, bytes]]


class Sink(Protocol):
    """Where a response can be piped to."""

    @property
    def congested(self) -> bool:
        """Whether more should wait for ``drain``."""

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...


class Response:
    """One response; the client returns it once its headers are complete.

    Read it whole with ``read`` or in chunks with ``async for``, and always ``close`` it. ``ended`` says that no more of
    it arrives, and ``error`` why if that is early.
    """

    __slots__ = (
        "_abort",
        "_chunks",
        "_limits",
        "_loop",
        "_pause_at",
        "_resume",
        "_sink",
        "_size",
        "_waiter",
        "ended",
        "error",
        "headers",
        "status",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        abort: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self.status = 0
        self.headers: Headers = []
        self._loop = loop
        self._limits = limits
        self._abort = abort
        self._resume = resume
        self._chunks: list[bytes] = []
        self._size = 0
        self._pause_at = limits.buffer_bytes
        self.ended = False
        self.error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Sink | None = None

    def header(self, name: bytes) -> bytes | None:
        """Return the first header called ``name`` (lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def is_events(self) -> bool:
        """Whether the body is server-sent events, whose first may take long and whose last can say what went wrong."""
        return (self.header(b"content-type") or b"").startswith(b"text/event-stream")

    async def begun(self) -> None:
        """Wait for the first chunk of the body, or its end; until then an error can still have a response of its own.

        Raises:
            UpstreamError: the response ended early, without a chunk.
        """
        try:
            while not (self._chunks or self.ended):
                await self.wait()
        except BaseException:
            self.close()
            raise
        if self.error is not None and not self._chunks:
            raise self.error

    @property
    def complete(self) -> bool:
        """Whether the body's last byte has arrived (it may still be unread)."""
        return self.ended and self.error is None

    def read_nowait(self) -> bytes:
        """Return the part of the body that has arrived and is unread; empty when there is none."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        size, self._size = self._size, 0
        if size > self._pause_at and not self.ended:
            self._resume()
        return data

    async def chunk(self) -> bytes:
        """Wait for the next chunk of the body; empty at its end.

        Raises:
            UpstreamError: the response ended early.
        """
        while not self._chunks:
            if self.ended:
                if self.error is not None:
                    raise self.error
                return b""
            await self.wait()
        return self.read_nowait()

    async def read(self) -> bytes:
        """Read the whole body.

        Raises:
            ResponseTooLargeError: it exceeds ``Limits.response_bytes``.
            UpstreamError: the response ended early.
        """
        limit = self._pause_at = self._limits.response_bytes
        if not self.ended:
            self._resume()
        while True:
            if self._size > limit:
                self.close()
                raise ResponseTooLargeError(f"the response exceeds {limit} bytes")
            if self.ended:
                break
            await self.wait()
        if self.error is not None:
            raise self.error
        return self.read_nowait()

    async def pipe(self, sink: Sink) -> None:
        """Write the body to ``sink`` chunk by chunk, as the socket delivers it and no faster than ``sink`` takes it.

        A chunk goes on within the read that brought it, without waking this task: that halves what a token costs.

        Raises:
            UpstreamError: the connection closed or failed before the response was complete.
        """
        try:
            while True:
                if self._chunks:
                    sink.write(self.read_nowait())
                if self.ended:
                    break
                if sink.congested:
                    await sink.drain()
                    continue
                self._sink = sink
                await self.wait()
                self._sink = None
        finally:
            self._sink = None
        if self.error is not None:
            raise self.error

    def __aiter__(self) -> "Response":
        return self

    async def __anext__(self) -> bytes:
        data = await self.chunk()
        if not data:
            raise StopAsyncIteration
        return data

    def close(self) -> None:
        """End the exchange; abort the connection when the response is not complete."""
        self._chunks.clear()
        if not self.ended:
            self.ended = True
            self._abort()

    # The methods below are for the connection that feeds this response.

    def wait(self) -> "asyncio.Future[None]":
        """Return a future that is done when the connection has fed or ended this response."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def wake(self) -> None:
        """Give what has arrived to the sink, or wake the consumer."""
        if self._sink is not None and self._chunks and not self.ended and not self._sink.congested:
            self._sink.write(self.read_nowait())
            return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def feed(self, data: bytes) -> None:
        """Append a chunk of the body; the consumer wakes with the next ``wake``."""
        self._chunks.append(data)
        self._size += len(data)

    @property
    def full(self) -> bool:
        """Whether the consumer lags so far behind that the socket should not be read."""
        return self._size > self._pause_at

    def end(self, error: UpstreamError | None = None) -> None:
        """Mark the response complete, or ended early by ``error``."""
        if not self.ended:
            self.ended = True
            self.error = error
            self.wake()
