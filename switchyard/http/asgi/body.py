"""Forwarding between an ASGI server and the upstream client, byte for byte and without work per byte.

In a row: ``read_body``, ``with HangUp(receive)``, ``Client.request``, ``relay``.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import TracebackType

from switchyard.http.asgi import Message, Receive, Scope, Send
from switchyard.http.client import Response

Header = tuple[bytes, bytes]

# RFC 9110 §7.6.1, and those that clients still send
HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
    )
)
NOT_FORWARDED = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
NOT_RETURNED = HOP_BY_HOP | {b"server", b"date"}
_PLAIN_CONNECTION = frozenset((b"keep-alive", b"close", b"Keep-Alive", b"Close"))


class ClientGone(Exception):
    """The client hung up; there is nobody to answer."""


class BodyTooLarge(Exception):
    """The request's body exceeds ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body exceeds {limit} bytes")
        self.limit = limit


class BodyTooSlow(Exception):
    """The request's body did not arrive in time."""


def filtered(headers: Iterable[Header], drop: frozenset[bytes]) -> list[Header]:
    """``headers`` (names in lower case) without ``drop`` and without those that ``connection`` names."""
    kept = [header for header in headers if header[0] not in drop]
    for name, value in headers:
        if name == b"connection" and value not in _PLAIN_CONNECTION:
            named = {token.strip().lower() for token in value.split(b",")}
            kept = [header for header in kept if header[0] not in named]
    return kept


async def read_body(receive: Receive, scope: Scope, limit: int, *, deadline: float = 60.0) -> bytes:
    """The request's body, at most ``limit`` bytes and within ``deadline`` seconds.

    Raises:
        BodyTooLarge: it is declared or turns out to be larger.
        BodyTooSlow: the deadline passed.
        ClientGone: the client hung up before its end.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise BodyTooLarge(limit)
    message = await receive()
    if not message.get("more_body", False):
        body: bytes = _piece(message)
    else:
        try:
            async with asyncio.timeout(deadline):
                body = await _gather(receive, _piece(message), limit)
        except TimeoutError as err:
            raise BodyTooSlow(f"the request body did not arrive within {deadline:g} s") from err
    if len(body) > limit:
        raise BodyTooLarge(limit)
    return body


async def body_pieces(receive: Receive, *, deadline: float = 60.0) -> AsyncIterator[bytes]:
    """The pieces of a request's body as they come; the client may make us wait ``deadline`` seconds in all.

    Raises:
        BodyTooSlow: the deadline passed.
        ClientGone: the client hung up before its end.
    """
    time = asyncio.get_running_loop().time
    left, more = deadline, True
    while more:
        began = time()
        try:
            async with asyncio.timeout(left):
                message = await receive()
        except TimeoutError as err:
            raise BodyTooSlow(f"the request body did not arrive within {deadline:g} s") from err
        left -= time() - began
        yield _piece(message)
        more = message.get("more_body", False)


async def peek(receive: Receive, length: int, *, deadline: float = 60.0) -> tuple[bytes, Receive]:
    """At least the first ``length`` bytes of a request's body if it has them, and a ``receive`` that gives all of it.

    Raises:
        BodyTooSlow: they did not arrive within ``deadline`` seconds.
    """
    messages: list[Message] = []
    begun, more = b"", True
    try:
        async with asyncio.timeout(deadline):
            while more and len(begun) < length:
                messages.append(await receive())
                begun += messages[-1].get("body", b"")
                more = messages[-1].get("more_body", False)
    except TimeoutError as err:
        raise BodyTooSlow(f"the request body did not arrive within {deadline:g} s") from err

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return begun, again


async def _gather(receive: Receive, first: bytes, limit: int) -> bytes:
    pieces, size, more = [first], len(first), True
    while more:
        message = await receive()
        pieces.append(_piece(message))
        size += len(pieces[-1])
        if size > limit:
            raise BodyTooLarge(limit)
        more = message.get("more_body", False)
    return b"".join(pieces)


def _piece(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone
    piece: bytes = message.get("body", b"")
    return piece


class HangUp:
    """While the body of the ``with`` statement runs, a hang-up of the client cancels it and becomes ``ClientGone``.

    The request must have been read to its end. As ``asyncio.timeout`` does, it cancels the task around it, so that
    whatever that is waiting for ends: a connection, an answer, a pause before a repeat.
    """

    __slots__ = ("_gone", "_receive", "_task", "_watch")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False

    def __enter__(self) -> "HangUp":
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._watch = asyncio.create_task(self._wait_for_disconnect())
        return self

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._watch.cancel()
        if self._gone and self._task.uncancel() == 0 and (kind is None or kind is asyncio.CancelledError):
            raise ClientGone from None


async def relay(response: Response, send: Send, headers: list[Header]) -> None:
    """Sends an answer on as it arrives, each piece at once.

    Raises:
        UpstreamError: the answer broke off; the head has been sent.
    """
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await relay_body(response, send)


async def relay_body(response: Response, send: Send) -> None:
    """Sends the body of an answer on as it arrives, and ends the answer.

    Raises:
        UpstreamError: the answer broke off.
    """
    if response.complete:  # nothing can follow what lies here
        await send({"type": "http.response.body", "body": response.take()})
        return
    more = True
    while more:
        data = await response.chunk()
        more = bool(data) and not response.complete
        await send({"type": "http.response.body", "body": data, "more_body": more})
