"""Reading the body of an ASGI request, whole or in chunks."""

import asyncio
from collections.abc import AsyncIterator

from switchyard.http.asgi import Message, Receive, Scope
from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError, ClientDisconnectedError


class BodyReceive:
    """A ``receive`` that has the body also whole, or its beginning: our own server's, which counts its bytes."""

    __slots__ = ()

    async def __call__(self) -> Message:
        raise NotImplementedError

    async def body(self, limit: int) -> bytes:
        """Return the whole body. Raises as ``Exchange.body``."""
        raise NotImplementedError

    async def beginning(self, length: int) -> bytes:
        """Return at least the first ``length`` bytes, if there are so many; they are received again."""
        raise NotImplementedError


async def read_body(receive: Receive, scope: Scope, limit: int, *, seconds: float = 60.0) -> bytes:
    """Return the request's body, at most ``limit`` bytes, received within ``seconds``.

    Raises:
        BadRequestError: it breaks the rules, or our server holds as many bodies as it may.
        BodyTooLargeError: it is declared or turns out to be larger.
        BodyTooSlowError: it did not arrive in time.
        ClientDisconnectedError: the client disconnected before its end.
    """
    if isinstance(receive, BodyReceive):
        try:
            async with asyncio.timeout(seconds):
                return await receive.body(limit)
        except TimeoutError as err:
            raise _too_slow(seconds) from err
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise BodyTooLargeError(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in body_chunks(receive, seconds=seconds):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError(limit)
    return b"".join(chunks)


async def body_chunks(receive: Receive, *, seconds: float = 60.0) -> AsyncIterator[bytes]:
    """Yield the chunks of a request's body; waiting for the client may take ``seconds`` in all.

    Raises:
        BodyTooSlowError: it took longer.
        ClientDisconnectedError: the client disconnected before the body's end.
    """
    time = asyncio.get_running_loop().time
    remaining, more = seconds, True
    while more:
        began = time()
        try:
            async with asyncio.timeout(remaining):
                message = await receive()
        except TimeoutError as err:
            raise _too_slow(seconds) from err
        remaining -= time() - began
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def peek(receive: Receive, length: int, *, seconds: float = 60.0) -> tuple[bytes, Receive]:
    """Return at least the first ``length`` bytes of a request's body, if it has them, and a ``receive`` for all of it.

    Raises:
        BodyTooSlowError: they did not arrive within ``seconds``; and as ``read_body``.
    """
    if isinstance(receive, BodyReceive):
        try:
            async with asyncio.timeout(seconds):
                return await receive.beginning(length), receive
        except TimeoutError as err:
            raise _too_slow(seconds) from err
    messages: list[Message] = []
    beginning, more = b"", True
    try:
        async with asyncio.timeout(seconds):
            while more and len(beginning) < length:
                messages.append(await receive())
                beginning += messages[-1].get("body", b"")
                more = messages[-1].get("more_body", False)
    except TimeoutError as err:
        raise _too_slow(seconds) from err

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return beginning, again


def _too_slow(seconds: float) -> BodyTooSlowError:
    return BodyTooSlowError(f"the request body did not arrive within {seconds:g} s")
