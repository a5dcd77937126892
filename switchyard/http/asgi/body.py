"""Forwarding between an ASGI server and the upstream client, byte for byte and without work per byte.

In a row: ``read_body``, ``with HangUp(receive)``, ``Client.request``, ``relay``.
"""

import asyncio
from collections.abc import AsyncIterator

from switchyard.http.asgi import Message, Receive, Scope
from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError, ClientDisconnectedError


async def read_body(receive: Receive, scope: Scope, limit: int, *, deadline: float = 60.0) -> bytes:
    """The request's body, at most ``limit`` bytes and within ``deadline`` seconds.

    Raises:
        BodyTooLargeError: it is declared or turns out to be larger.
        BodyTooSlowError: the deadline passed.
        ClientDisconnectedError: the client hung up before its end.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise BodyTooLargeError(limit)
    message = await receive()
    if not message.get("more_body", False):
        body: bytes = _piece(message)
    else:
        try:
            async with asyncio.timeout(deadline):
                body = await _gather(receive, _piece(message), limit)
        except TimeoutError as err:
            raise BodyTooSlowError(f"the request body did not arrive within {deadline:g} s") from err
    if len(body) > limit:
        raise BodyTooLargeError(limit)
    return body


async def body_pieces(receive: Receive, *, deadline: float = 60.0) -> AsyncIterator[bytes]:
    """The pieces of a request's body as they come; the client may make us wait ``deadline`` seconds in all.

    Raises:
        BodyTooSlowError: the deadline passed.
        ClientDisconnectedError: the client hung up before its end.
    """
    time = asyncio.get_running_loop().time
    left, more = deadline, True
    while more:
        began = time()
        try:
            async with asyncio.timeout(left):
                message = await receive()
        except TimeoutError as err:
            raise BodyTooSlowError(f"the request body did not arrive within {deadline:g} s") from err
        left -= time() - began
        yield _piece(message)
        more = message.get("more_body", False)


async def peek(receive: Receive, length: int, *, deadline: float = 60.0) -> tuple[bytes, Receive]:
    """At least the first ``length`` bytes of a request's body if it has them, and a ``receive`` that gives all of it.

    Raises:
        BodyTooSlowError: they did not arrive within ``deadline`` seconds.
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
        raise BodyTooSlowError(f"the request body did not arrive within {deadline:g} s") from err

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
            raise BodyTooLargeError(limit)
        more = message.get("more_body", False)
    return b"".join(pieces)


def _piece(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnectedError
    piece: bytes = message.get("body", b"")
    return piece
