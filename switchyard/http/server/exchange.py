"""One request and its response, as a handler sees them, whatever the protocol."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import cast

from switchyard.http.addresses import Address
from switchyard.http.api_errors import ApiError, Shape, render, shape_of
from switchyard.http.body_memory import BodyMemory
from switchyard.http.headers import Header
from switchyard.http.request_errors import BodyTooLargeError, ClientDisconnectedError
from switchyard.http.server.websocket.connection import WebSocket

BODILESS = frozenset((204, 304))  # RFC 9110 §6.4.1: never followed by content
_SMALL = 1024  # bytes; shorter chunks are joined up to it, as every object costs some 40 bytes of its own
_LARGE = 1024 * 1024  # of a body, which from here on grows in place: to join its chunks would take its size once more


class Exchange:
    """A request with the means to respond to it; its handler's task is cancelled when the client disconnects.

    Respond once with ``respond``, or with ``start``, ``write`` and ``end``. Names of ``headers`` are in lower case;
    ``fields`` are the same for look-ups, the last of each name. ``status`` is the response's, 0 until it has begun.
    Each protocol has its own subclass for the response; receiving the body is the same for all.
    """

    __slots__ = (
        *("_chunks", "_error", "_gathering", "_loop", "_memory", "_on_disconnect", "_owner", "_pause_at", "_remaining"),
        *("_size", "_waiter", "complete", "expects", "fields", "finished", "gone", "headers", "method", "started"),
        *("status", "target", "task", "upgrades", "version"),
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, buffer_bytes: int, memory: BodyMemory) -> None:
        self.method = self.target = b""
        self.version = "1.1"
        self.headers: list[Header] = []
        self.fields: Mapping[bytes, bytes] = {}
        self.started = self.finished = self.gone = False
        self.status = 0
        self.expects = False  # the client waits for 100 Continue before it sends the body
        self.upgrades = False  # it asks for a WebSocket, and may get one by ``accept_websocket``
        self.task: asyncio.Task[None] | None = None  # the handler's
        self._loop = loop
        self._memory = memory
        self._owner: str | None = None
        self._chunks: list[bytes] = []  # the first is a bytearray while a large body grows
        self._size = 0
        self._pause_at = buffer_bytes
        self._gathering = False
        self.complete = False  # the request has arrived to its end
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_disconnect: Callable[[], None] | None = None
        self._remaining = -1  # bytes of the declared content-length of the response; -1 without one

    # -- the request

    @property
    def path(self) -> bytes:
        """The target up to its query, as it was sent (not percent-decoded)."""
        return self.target.partition(b"?")[0]

    @property
    def client(self) -> Address | None:
        """The client's address; None when it has disconnected already."""
        raise NotImplementedError

    @property
    def server(self) -> Address | None:
        """The address at which the client reached this server."""
        raise NotImplementedError

    @property
    def scheme(self) -> str:
        """``https`` where the connection is encrypted, else ``http``."""
        raise NotImplementedError

    async def body(self, limit: int) -> bytes:
        """Return the request's whole body, at most ``limit`` bytes; a large one as a ``bytearray``, not to be changed.

        Raises:
            BadRequestError: it is malformed.
            BodyTooLargeError: it is declared or turns out to be larger.
            BodyTooSlowError: it did not arrive in time.
        """
        if not self.complete:
            await self._gather(limit)
        if self._size > limit:
            raise BodyTooLargeError(limit)
        return self._so_far()

    async def _gather(self, limit: int) -> None:
        declared = self.fields.get(b"content-length")
        if declared is not None and int(declared) > limit:
            raise BodyTooLargeError(limit)
        self._pause_at = limit
        self._gathering = True  # chunks wake nobody until the body is whole or too large
        try:
            while not self.complete and self._size <= limit:
                await self._more()
        finally:
            self._gathering = False

    async def beginning(self, length: int) -> bytes:
        """Return at least the first ``length`` bytes of the body, if it has them, and leave them to be read.

        ``length`` is no more than the ``buffer_bytes`` of the limits. Raises as ``chunks``.
        """
        while self._size < length and not self.complete:
            await self._more()
        return self._so_far()

    def _so_far(self) -> bytes:
        if self._error is not None:
            raise self._error
        if len(self._chunks) > 1:
            self._chunks[:] = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the request's body as it arrives; the client is read no faster than the handler takes chunks.

        Raises:
            BadRequestError: it is malformed.
            BodyTooSlowError: it did not arrive in time.
        """
        while chunk := await self.chunk():
            yield chunk

    async def chunk(self) -> bytes:
        """Return the next chunk of the request's body, waiting for it; empty at the end. Raises as ``chunks``."""
        while not self._chunks:
            if self.complete and self._error is None:
                return b""
            await self._more()
        chunk = self._chunks.pop(0)
        self._size -= len(chunk)
        self._memory.give_back(self._owner, len(chunk))
        return chunk

    def held_for(self, owner: str) -> None:
        """Count what is held of the body for ``owner``, whose bodies are to leave room for others'."""
        if self._size:
            self._memory.give_back(self._owner, self._size)
            self._memory.take(owner, self._size)
        self._owner = owner
        self._require_memory()

    @property
    def read_to_end(self) -> bool:
        """Whether ``chunk`` has returned all of the body."""
        return self.complete and not self._chunks

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` when the client disconnects, instead of cancelling the handler; reading then fails.

        Raises (from ``body``, ``chunk`` and ``chunks``):
            ClientDisconnectedError: the client disconnected before the end of its request.
        """
        self._on_disconnect = callback

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        self._wanted()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None:
            raise self._error

    def _wanted(self) -> None:
        """The handler waits for more of the body than has arrived."""
        raise NotImplementedError

    # -- the response

    def respond(self, status: int, headers: Sequence[Header], body: bytes = b"") -> None:
        """Send a whole response in one write; ``headers`` have no framing, as ``content-length`` is set here."""
        raise NotImplementedError

    def respond_error(self, error: ApiError, shape: Shape | None = None) -> None:
        """Send an error in ``shape``, by default that of this path's protocol."""
        kind, body = render(error, shape or shape_of(self.path))
        self.respond(error.status, [(b"content-type", kind), *error.headers], body)

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """Start a response; its headers go out with the first ``write`` (an empty one sends only them).

        ``write`` enforces a ``content-length`` among ``headers``.
        """
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Send a chunk of the body at once; ``await drain()`` keeps a slow client from filling the memory."""
        raise NotImplementedError

    @property
    def congested(self) -> bool:
        """Whether written data waits for the client, so that the handler should wait for ``drain``."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Return when the client has taken enough of what was written."""
        raise NotImplementedError

    def end(self, data: bytes = b"") -> None:
        """Complete the response, with a last chunk or without."""
        raise NotImplementedError

    def accept_websocket(self, headers: Sequence[Header]) -> WebSocket:
        """Respond with 101 (RFC 6455 §4.2.2); the handler goes on with messages in place of a response."""
        raise NotImplementedError

    def abort(self) -> None:
        """End a response that cannot be completed, so that the client can tell."""
        raise NotImplementedError

    def _within_length(self, data: bytes) -> bytes:
        """Return what of ``data`` is sent: no body follows HEAD, and none may exceed its declared length."""
        if self.method == b"HEAD":
            return b""
        if len(data) > self._remaining:
            excess = len(data) - self._remaining
            raise RuntimeError(f"a handler wrote {excess} bytes more than the declared content-length")
        self._remaining -= len(data)
        return data

    # -- what follows is for the connection that feeds this exchange

    @property
    def full(self) -> bool:
        """Whether so much of the body waits for the handler that the socket should not be read."""
        return self._size > self._pause_at

    @property
    def waiting(self) -> bool:
        """Whether the handler waits for more of the body."""
        return self._waiter is not None

    def feed(self, data: bytes) -> None:
        """Add a chunk of the body, unless the handler learns that the body failed."""
        if self._error is not None:
            return
        chunks, size = self._chunks, len(data)
        if self._gathering and self._size > _LARGE:
            if not isinstance(chunks[0], bytearray):
                chunks[:] = [cast(bytes, bytearray().join(chunks))]
            chunks[0] += data
        elif chunks and size < _SMALL and len(chunks[-1]) < _SMALL:
            chunks[-1] += data
        else:
            chunks.append(data)
        self._size += size
        self._memory.take(self._owner, size)
        self._require_memory()
        if self._waiter is not None and (not self._gathering or self._size > self._pause_at):
            self._wake()

    def _require_memory(self) -> None:
        if self._size and (excess := self._memory.excess(self._owner, self._size)) is not None:
            self.fail(excess)
            self.release()  # now: before its handler runs, every other connection may have read as much

    def arrived(self) -> None:
        """The request is complete."""
        self.complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """The rest of the body will not arrive."""
        self._error = error
        self._wake()

    def disconnect(self) -> None:
        """The client has disconnected, or has reset this request's stream."""
        if self.finished:
            return
        self.gone = True
        self.release()
        if self._on_disconnect is not None:
            self.fail(ClientDisconnectedError())
            self._on_disconnect()
        elif self.task is not None:
            self.task.cancel()

    def release(self) -> None:
        """Free what is buffered of the body: nobody will read it."""
        if self._size:
            memory = self._memory
            memory.most = max(memory.most, memory.used)
            memory.give_back(self._owner, self._size)
            self._size = 0
            self._chunks.clear()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
