"""A request that comes as an HTTP/2 stream, and its answer, as an ASGI application sees them."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from switchyard.http.asgi import App, Message, Scope
from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.request_head import OF_A_CONNECTION, Head
from switchyard.http.h2.stream import Stream

logger = logging.getLogger(__name__)

Start = Callable[[Coroutine[Any, Any, None]], None]

UNSENT_BYTES = 64 * 1024  # of an answer that its client has not taken; the application waits beyond

_INTERNAL = b'{"error": "internal error"}'
_CONTINUE = literals([(b":status", b"100")])


class Exchange:
    """Answers one request by ``app``, in a task that ``start`` makes; every answer carries ``headers``."""

    __slots__ = ("_app", "_begun", "_changed", "_expects", "_gone", "_head", "_headers", "_heard",
                 "_heard_all", "_over", "_pieces", "_scope", "_start", "_stream", "_told_all", "_unsent")  # fmt: skip

    def __init__(self, head: Head, scope: Scope, app: App, headers: Sequence[Field], start: Start) -> None:
        self._head = head
        self._scope = scope
        self._app = app
        self._headers = headers
        self._start = start
        self._pieces: list[bytes] = []
        self._heard = self._unsent = 0
        self._heard_all = self._told_all = self._begun = self._over = self._gone = False
        self._expects = head.expects
        self._changed = asyncio.Event()

    def begin(self, stream: Stream, *, end: bool) -> None:
        self._stream = stream
        stream.source = self
        if end:
            self.data(stream, b"", True)
        if not self._gone:
            self._start(self._run())

    # -- what the stream tells

    def data(self, stream: Stream, piece: bytes, end: bool) -> None:
        self._heard += len(piece)
        length = self._head.length
        if length is not None and (self._heard > length or (end and self._heard < length)):
            stream.connection.passed_on(stream, len(piece))
            stream.connection.cut(stream, frames.PROTOCOL_ERROR)  # RFC 9113 §8.1.1
            self.reset(stream, frames.PROTOCOL_ERROR)
            return
        if self._over or self._gone:
            stream.connection.passed_on(stream, len(piece))
        elif piece:
            self._pieces.append(piece)
        self._heard_all = end
        self._changed.set()

    def reset(self, stream: Stream, code: int) -> None:
        self._gone = True
        self._drop()
        self._changed.set()

    def left(self, size: int) -> None:
        waits = self._over or self._unsent > UNSENT_BYTES
        self._unsent -= size
        if waits and self._unsent <= UNSENT_BYTES:
            self._changed.set()

    # -- what the application is given

    async def _run(self) -> None:
        """Returns when the answer has left, or never can."""
        try:
            await self._app(self._scope, self.receive, self.send)
            if not (self._over or self._gone):
                raise RuntimeError("the application returned before its answer was complete")
        except asyncio.CancelledError:
            self._broken()
            raise
        except Exception:  # the task's outermost frame
            logger.exception("an error escaped the application", extra={"path": self._scope["path"]})
            self._broken()
        while not (self._stream.finished or self._gone):
            await self._change()
        if not self._stream.heard_all:
            self._stream.connection.cut(self._stream, frames.NO_ERROR)

    async def receive(self) -> Message:
        while not (self._pieces or (self._heard_all and not self._told_all) or self._gone or self._over):
            if self._expects:
                self._expects = False
                self._stream.connection.send(self._stream, frames.HEADERS, _CONTINUE, False)
            await self._change()
        if self._gone or self._over:
            return {"type": "http.disconnect"}
        body = b"".join(self._pieces)
        self._drop()
        self._told_all = self._heard_all
        return {"type": "http.request", "body": body, "more_body": not self._heard_all}

    async def send(self, message: Message) -> None:
        if self._gone or self._over:
            return
        if message["type"] == "http.response.start":
            self._head_of(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body":
            body = b"" if self._head.method == b"HEAD" else bytes(message.get("body", b""))
            self._send(body, end=not message.get("more_body", False))
            while self._unsent > UNSENT_BYTES and not self._gone:
                await self._change()

    # -- the answer

    def _head_of(self, status: int, headers: Sequence[Field]) -> None:
        """Leaves at once, as the answer's first piece may be long in coming."""
        own = [(name.lower(), value) for name, value in headers]
        names = {name for name, _ in own}
        general = [field for field in self._headers if field[0] not in names]
        kept = [field for field in own if field[0] not in OF_A_CONNECTION]
        self._begun, self._expects = True, False
        block = literals([(b":status", b"%d" % status), *general, *kept])
        self._stream.connection.send(self._stream, frames.HEADERS, block, False)

    def _send(self, body: bytes, *, end: bool) -> None:
        if end:
            self._over = True
            self._drop()
            self._changed.set()
        if body or end:
            self._unsent += len(body)
            self._stream.connection.send(self._stream, frames.DATA, body, end)

    def _broken(self) -> None:
        """The application failed: an opaque 500 if nothing was sent, else the stream is cut."""
        if self._gone or self._over:
            return
        if self._begun:
            self._stream.connection.cut(self._stream, frames.INTERNAL_ERROR)
            self.reset(self._stream, frames.INTERNAL_ERROR)
        else:
            self._head_of(500, ((b"content-type", b"application/json"),))
            self._send(_INTERNAL, end=True)

    def _drop(self) -> None:
        """Makes room for what was read, or never will be."""
        size, self._pieces = sum(map(len, self._pieces)), []
        if size:
            self._stream.connection.passed_on(self._stream, size)

    async def _change(self) -> None:
        await self._changed.wait()
        self._changed.clear()
