"""The upstream client: a pool of connections per origin, and one method that sends a request."""

import asyncio
import ssl
from collections.abc import Sequence

from switchyard.http.client.connection import ClientConnection
from switchyard.http.client.errors import ConnectError, ConnectionClosedError, UpstreamTimeoutError
from switchyard.http.client.limits import Limits, Timeouts
from switchyard.http.client.origin import Origin, split_url
from switchyard.http.client.response import Response
from switchyard.http.client.upload import Upload

_DEFAULT_TIMEOUTS = Timeouts()
_BODILESS = frozenset((b"GET", b"HEAD", b"DELETE", b"OPTIONS"))


class Client:
    """Sends requests over pooled HTTP/1.1 connections; belongs to the event loop that first uses it.

    ``tls`` is the context of https origins; by default one that trusts the system's authorities.
    """

    def __init__(self, limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._limits = limits or Limits()
        self._tls = tls
        self._idle: dict[Origin, list[ClientConnection]] = {}
        self._open: set[ClientConnection] = set()
        self._connecting: dict[Origin, asyncio.Semaphore] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._all_closed: asyncio.Future[None] | None = None
        self._closed = False

    async def request(
        self,
        method: bytes,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | Upload = b"",
        *,
        timeouts: Timeouts = _DEFAULT_TIMEOUTS,
    ) -> Response:
        """Send a request and return its response once the headers are complete.

        ``host`` and ``content-length`` are set here; ``headers`` must hold neither, nor hop-by-hop ones. When a pooled
        connection closes before the first byte of a response, the request is sent once more on a new connection; an
        upload always takes a new connection, because it cannot be sent twice.

        Raises:
            UpstreamError: there is no usable response.
            ValueError: the URL or a header cannot be sent.
        """
        split = split_url(url)
        length = body.length if isinstance(body, Upload) else len(body)
        encoded = _encode_headers(method, split.target_and_host, headers, length)
        bodiless = method == b"HEAD"
        deadline = None if timeouts.total is None else asyncio.get_running_loop().time() + timeouts.total
        connection = self._reuse(split.origin)
        if connection is not None and isinstance(body, Upload):
            connection.close()  # or the pool would grow by one connection with every upload
        elif connection is not None:
            try:
                return await connection.exchange(encoded, body, bodiless=bodiless, timeouts=timeouts, deadline=deadline)
            except ConnectionClosedError as err:
                if not err.retryable:
                    raise
        connection = await self._connect(split.origin, timeouts)
        return await connection.exchange(encoded, body, bodiless=bodiless, timeouts=timeouts, deadline=deadline)

    async def aclose(self) -> None:
        """Close every connection, including those in use, and wait until their sockets are closed."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self.close_connections()
        if self._open:
            self._all_closed = asyncio.get_running_loop().create_future()
            await self._all_closed

    def close_connections(self) -> None:
        """Close every connection, including those in use, whose requests fail: their server is known to be gone."""
        self._idle.clear()
        for connection in tuple(self._open):
            connection.close()

    def _reuse(self, origin: Origin) -> ClientConnection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()  # the one used last is the least likely to be stale
            if connection.usable:
                return connection
        return None

    async def _connect(self, origin: Origin, timeouts: Timeouts) -> ClientConnection:
        seconds = [limit for limit in (timeouts.connect, timeouts.total) if limit is not None]
        try:
            async with asyncio.timeout(min(seconds, default=None)):
                return await self._open_connection(origin)
        except TimeoutError as err:
            raise UpstreamTimeoutError(f"no connection to {origin} within {min(seconds):g} s", retryable=True) from err
        except (OSError, ValueError) as err:  # ValueError: a host name that cannot be encoded
            raise ConnectError(f"cannot connect to {origin}: {err}") from err

    async def _open_connection(self, origin: Origin) -> ClientConnection:
        if self._closed:
            raise ConnectError("this client is closed")
        if (slots := self._connecting.get(origin)) is None:
            slots = self._connecting[origin] = asyncio.Semaphore(self._limits.max_connecting)
        async with slots:
            secure = origin.scheme == "https"
            if secure and self._tls is None:
                self._tls = ssl.create_default_context()
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: ClientConnection(origin, self._limits, self._on_free, self._on_lost),
                origin.host,
                origin.port,
                ssl=self._tls if secure else None,
            )
        if self._closed:  # while the connection was being opened
            connection.close()
            raise ConnectError("this client is closed")
        if not connection.usable:
            raise ConnectError(f"{origin} closed the connection at once")
        self._open.add(connection)
        return connection

    def _on_free(self, connection: ClientConnection) -> None:
        idle = self._idle.setdefault(connection.origin, [])
        if self._closed or len(idle) >= self._limits.max_keepalive_connections:
            connection.close()
            return
        idle.append(connection)
        if self._sweeper is None:
            self._sweep_later()

    def _on_lost(self, connection: ClientConnection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)
        if self._all_closed is not None and not self._open and not self._all_closed.done():
            self._all_closed.set_result(None)

    def _sweep_later(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(self._limits.keepalive_expiry, self._sweep)

    def _sweep(self) -> None:
        """Close connections that were idle too long; scheduled only while some connection is idle."""
        self._sweeper = None
        oldest = asyncio.get_running_loop().time() - self._limits.keepalive_expiry
        for connection in [c for idle in self._idle.values() for c in idle if c.idle_since <= oldest]:
            connection.close()
        self._idle = {origin: kept for origin, idle in self._idle.items() if (kept := [c for c in idle if c.usable])}
        if self._idle:
            self._sweep_later()


def _encode_headers(
    method: bytes, target_and_host: bytes, headers: Sequence[tuple[bytes, bytes]], length: int
) -> bytes:
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers) or b"\0" in lines:
        raise ValueError("a header name or value holds a line break or a zero byte")
    if length or method not in _BODILESS:
        return b"%b%b%bcontent-length: %d\r\n\r\n" % (method, target_and_host, lines, length)
    return b"%b%b%b\r\n" % (method, target_and_host, lines)
