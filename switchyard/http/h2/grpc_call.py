"""One gRPC call on its way through: held until it is known where it goes, then handed on as it comes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literal, literals
from switchyard.http.h2.stream import Stream

PREFIX = 5  # bytes before a message: whether it is compressed, and its length
PEEKED = 4096  # bytes of the first message that decide where a call goes, at most
UNAVAILABLE = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The head of a call; ``block`` is all of it, ``direct`` what an engine may see, both ready to be sent."""

    path: str
    traceparent: str | None
    block: bytes
    direct: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A block of header fields of an answer, ready to be sent; ``status`` is gRPC's when the block has it."""

    block: bytes
    status: int | None


class Passage(Protocol):
    """A call that goes straight to the engine; ``ended`` hears its gRPC status, None when the client gave up."""

    @property
    def traceparent(self) -> str | None: ...
    def ended(self, status: int | None) -> None: ...


Enter = Callable[[Request, bytes], Passage | None]


class Upstream(Protocol):
    """Opens streams to where calls go."""

    def direct(self, call: "Call") -> Stream: ...
    def service(self, call: "Call") -> Stream: ...


class Call:
    """Both streams of a call; one that ``peeks`` shows ``enter`` the beginning of its first message, all others go on
    to the service at once.
    """

    __slots__ = ("_answering", "_client", "_ended", "_enter", "_held", "_passage", "_peeks", "_request",
                 "_server", "_upstream")  # fmt: skip

    def __init__(self, request: Request, enter: Enter, upstream: Upstream, *, peeks: bool) -> None:
        self._request = request
        self._enter = enter
        self._upstream = upstream
        self._peeks = peeks
        self._held = b""
        self._ended = self._answering = False
        self._passage: Passage | None = None
        self._server: Stream | None = None

    def begin(self, client: Stream, *, end: bool) -> None:
        self._client = client
        self._ended = end
        if end or not self._peeks:
            self._go()

    # -- both streams

    def data(self, stream: Stream, piece: bytes, end: bool) -> None:
        if stream is not self._client:
            self._client.connection.send(self._client, frames.DATA, piece, end)
            if end:  # without trailers: no gRPC, but over
                self._over(UNAVAILABLE)
        elif self._server is not None:
            self._server.connection.send(self._server, frames.DATA, piece, end)
        else:
            self._held += piece
            self._ended = end
            if end or _peekable(self._held):
                self._go()

    def reset(self, stream: Stream, code: int) -> None:
        if stream is self._client:
            self._release_held()
            if self._server is not None:
                self._server.connection.cut(self._server, frames.CANCEL)
            self._over(None)
        else:
            self._lost(code)

    # -- towards the engine

    def _go(self) -> None:
        self._passage = passage = self._enter(self._request, self._held) if self._held else None
        if passage is None:
            server, block = self._upstream.service(self), self._request.block
        else:
            server, block = self._upstream.direct(self), self._request.direct
            if passage.traceparent:
                block += literal(b"traceparent", passage.traceparent.encode())
        self._server = server
        server.source, self._client.source = self._client, server
        held, self._held = self._held, b""
        server.connection.send(server, frames.HEADERS, block, self._ended and not held)
        if held:
            server.connection.send(server, frames.DATA, held, self._ended)

    def _release_held(self) -> None:
        if self._held:
            self._client.connection.passed_on(self._client, len(self._held))
            self._held = b""

    # -- back

    def answer(self, answer: Answer, end: bool) -> None:
        """Hands on the head or the trailers of the answer."""
        client = self._client
        self._answering = True
        client.connection.send(client, frames.HEADERS, answer.block, end)
        if end:
            self._over(answer.status)
            if self._server is not None and not self._server.finished:
                self._server.connection.cut(self._server, frames.NO_ERROR)
            if client.finished and not client.heard_all:  # answered before it was asked to the end
                client.connection.cut(client, frames.NO_ERROR)

    def _lost(self, code: int) -> None:
        """The upstream side ended without trailers."""
        client = self._client
        if not client.finished:
            if code == frames.REFUSED_STREAM and not self._answering:
                client.connection.cut(client, code)  # clients may then try again, whatever the call does
            else:
                client.connection.send(client, frames.HEADERS, gone(headless=not self._answering), True)
                if not client.heard_all:
                    client.connection.cut(client, frames.NO_ERROR)
        self._over(UNAVAILABLE)

    def _over(self, status: int | None) -> None:
        passage, self._passage = self._passage, None
        if passage is not None:
            passage.ended(status)


def _peekable(held: bytes) -> bool:
    if len(held) < PREFIX:
        return False
    return len(held) >= PREFIX + min(int.from_bytes(held[1:PREFIX], "big"), PEEKED)


def gone(*, headless: bool) -> bytes:
    """The end of a call whose upstream is gone; ``headless`` when the answer has not begun."""
    fields: list[Field] = [(b":status", b"200"), (b"content-type", b"application/grpc")] if headless else []
    message = b"the connection to the engine was lost; try again"
    return literals([*fields, (b"grpc-status", b"%d" % UNAVAILABLE), (b"grpc-message", message)])
