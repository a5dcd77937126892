"""The lightest load that a Python process can make: so many small requests that the server's core is the limit."""

import asyncio
import time
from typing import cast

from benchmarks.load import Request


class _Asker(asyncio.Protocol):
    """One connection that asks again as soon as it was answered; answers have a content-length."""

    def __init__(self, request: Request, end: float) -> None:
        self._wire = request.wire
        self._end = end
        self._buffer = b""
        self.answers = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._wire)

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        at = data.find(b"\r\n\r\n")
        if at < 0 or len(data) < at + 4 + _length(data[:at]):
            return
        if not data.startswith(b"HTTP/1.1 200"):
            self._transport.abort()
            return
        self._buffer = b""
        self.answers += 1
        if time.perf_counter() < self._end:
            self._transport.write(self._wire)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self._end:
            self.over.set_exception(RuntimeError(f"an answer was not 200, or the connection closed: {self._buffer!r}"))
        else:
            self.over.set_result(None)


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


async def flood(request: Request, connections: int, duration: float) -> int:
    """Asks for ``duration`` seconds over ``connections`` and returns how many answers came.

    Raises:
        RuntimeError: an answer was not 200.
    """
    end = time.perf_counter() + duration
    loop = asyncio.get_running_loop()
    askers = [_Asker(request, end) for _ in range(connections)]
    for asker in askers:
        await loop.create_connection(lambda asker=asker: asker, request.host, request.port)  # type: ignore[misc]
    await asyncio.gather(*(asker.over for asker in askers))
    return sum(asker.answers for asker in askers)
