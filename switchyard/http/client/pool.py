"""The upstream client: a pool of connections per origin, and one call."""

import asyncio
import ssl
from collections.abc import Sequence

from switchyard.http.client.connection import Connection
from switchyard.http.client.errors import ClosedEarly, ConnectFailed, TimedOut
from switchyard.http.client.limits import Deadlines, Limits
from switchyard.http.client.origin import Origin, split
from switchyard.http.client.response import Response
from switchyard.http.client.upload import Upload

__all__ = ["Client", "Deadlines", "Limits", "Response", "Upload"]

_NO_DEADLINES_GIVEN = Deadlines()
_BODILESS = frozenset((b"GET", b"HEAD", b"DELETE", b"OPTIONS"))


class Client:
    """Sends requests over pooled HTTP/1.1 connections; belongs to the event loop that first uses it.

    ``tls`` is the context of https origins; by default one that trusts the system's authorities.
    """

    def __init__(self, limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._limits = limits or Limits()
        self._tls = tls
        self._idle: dict[Origin, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._gates: dict[Origin, asyncio.Semaphore] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._closed = False

    async def request(
        self,
        method: bytes,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | Upload = b"",
        *,
        deadlines: Deadlines = _NO_DEADLINES_GIVEN,
    ) -> Response:
        """Sends a request and returns its answer as soon as the head is there.

        ``host`` and ``content-length`` are set here; ``headers`` must hold neither, nor hop-by-hop ones. A pooled
        connection that turns out to be closed before any byte of an answer is replaced by a fresh one, once; an upload
        has one replaced at once, because it cannot be sent twice.

        Raises:
            UpstreamError: there is no usable answer.
            ValueError: the URL or a header cannot be sent.
        """
        address = split(url)
        length = body.length if isinstance(body, Upload) else len(body)
        head = _head(method, address.tail, headers, length)
        loop = asyncio.get_running_loop()
        due = None if deadlines.total is None else loop.time() + deadlines.total
        connection = self._take(address.origin)
        if connection is not None and isinstance(body, Upload):
            connection.shut()  # or the pool would grow by one with every upload
        elif connection is not None:
            try:
                return await connection.exchange(head, body, head_only=method == b"HEAD", deadlines=deadlines, due=due)
            except ClosedEarly as err:
                if not err.retryable:
                    raise
        connection = await self._connect(address.origin, deadlines)
        return await connection.exchange(head, body, head_only=method == b"HEAD", deadlines=deadlines, due=due)

    async def aclose(self) -> None:
        """Closes every connection, those in use too, and waits until their sockets are closed."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._idle.clear()
        for connection in tuple(self._open):
            connection.shut()
        if self._open:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()  # the one used last is the least likely to be stale
            if connection.usable:
                return connection
        return None

    async def _connect(self, origin: Origin, deadlines: Deadlines) -> Connection:
        limits = [limit for limit in (deadlines.connect, deadlines.total) if limit is not None]
        try:
            async with asyncio.timeout(min(limits, default=None)):
                return await self._open_one(origin)
        except TimeoutError as err:
            raise TimedOut(f"no connection to {origin} within {min(limits):g} s", retryable=True) from err
        except (OSError, ValueError) as err:  # ValueError: a host name that cannot be encoded
            raise ConnectFailed(f"cannot connect to {origin}: {err}") from err

    async def _open_one(self, origin: Origin) -> Connection:
        if self._closed:
            raise ConnectFailed("this client is closed")
        if (gate := self._gates.get(origin)) is None:
            gate = self._gates[origin] = asyncio.Semaphore(self._limits.connects)
        async with gate:
            secure = origin.scheme == "https"
            if secure and self._tls is None:
                self._tls = ssl.create_default_context()
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(origin, self._limits, self._on_free, self._on_lost),
                origin.host,
                origin.port,
                ssl=self._tls if secure else None,
            )
        if self._closed:
            connection.shut()
            raise ConnectFailed("this client is closed")
        if not connection.usable:
            raise ConnectFailed(f"{origin} closed the connection at once")
        self._open.add(connection)
        return connection

    def _on_free(self, connection: Connection) -> None:
        idle = self._idle.setdefault(connection.origin, [])
        if self._closed or len(idle) >= self._limits.idle:
            connection.shut()
            return
        idle.append(connection)
        if self._sweeper is None:
            self._sweep_later()

    def _on_lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)
        if self._emptied is not None and not self._open and not self._emptied.done():
            self._emptied.set_result(None)

    def _sweep_later(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(self._limits.idle_seconds, self._sweep)

    def _sweep(self) -> None:
        """Closes what has been idle too long; runs only while something is idle."""
        self._sweeper = None
        oldest = asyncio.get_running_loop().time() - self._limits.idle_seconds
        for connection in [one for idle in self._idle.values() for one in idle if one.idle_since <= oldest]:
            connection.shut()
        self._idle = {
            origin: kept for origin, idle in self._idle.items() if (kept := [one for one in idle if one.usable])
        }
        if self._idle:
            self._sweep_later()


def _head(method: bytes, tail: bytes, headers: Sequence[tuple[bytes, bytes]], length: int) -> bytes:
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers) or b"\0" in lines:
        raise ValueError("a header name or value holds a line break or a zero byte")
    if length or method not in _BODILESS:
        return b"%b%b%bcontent-length: %d\r\n\r\n" % (method, tail, lines, length)
    return b"%b%b%b\r\n" % (method, tail, lines)
