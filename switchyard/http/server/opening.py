"""A connection until its protocol is known."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from switchyard.http.h2.frames import PREFACE
from switchyard.http.server.http1_connection import Host as Http1Host
from switchyard.http.server.http1_connection import Http1Connection
from switchyard.http.server.http2_connection import Host as Http2Host
from switchyard.http.server.http2_connection import Http2Connection

logger = logging.getLogger(__name__)

_HANDSHAKES = 1024  # at a time, of one port; a further one ends the oldest, which is the likeliest to go nowhere
_ACCEPT_AGAIN_SECONDS = 0.1  # after the system had no file or memory for a connection


class Host(Http1Host, Http2Host, Protocol):
    """What a connection of either protocol needs of its server."""


class ProtocolDetection(asyncio.Protocol):
    """Reads a client's first bytes: HTTP/2 begins with a preface that is no HTTP/1.1 request (RFC 9113 §3.4)."""

    __slots__ = ("_begun", "_host", "_since", "_transport")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._begun = b""
        self._since = host.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        encrypted = transport.get_extra_info("ssl_object")
        chosen = None if encrypted is None else encrypted.selected_alpn_protocol()
        if chosen == "h2":
            self._become(Http2Connection(self._host))
        elif chosen is not None:
            self._become(Http1Connection(self._host))
        else:
            self._host.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._begun:
            data = self._begun + data
        elif len(data) < len(PREFACE):
            self._since = self._host.loop.time()
        if not PREFACE.startswith(data[: len(PREFACE)]):
            self._become(Http1Connection(self._host), data)
        elif len(data) >= len(PREFACE):
            self._become(Http2Connection(self._host), data)
        else:
            self._begun = data

    def _become(self, connection: Http1Connection | Http2Connection, data: bytes = b"") -> None:
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)
        self._host.closed(self)
        if data:
            connection.data_received(data)

    # -- for the server

    @property
    def is_idle(self) -> bool:
        return not self._begun

    def check(self, now: float) -> None:
        limits = self._host.limits
        seconds = limits.header_seconds if self._begun else limits.idle_seconds
        if seconds is not None and now - self._since > seconds:
            self._transport.close()

    def retire(self) -> None:
        """Do nothing: the protocol's way to say so is not known before a request."""

    def drain(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class TlsListener:
    """Accepts the connections of one socket, and serves those whose handshake is complete in time.

    ``context`` gives the context of each new connection. A loop's own listener would take one context for all, and any
    number of handshakes.
    """

    def __init__(self, host: Host, sock: socket.socket, context: Callable[[], ssl.SSLContext]) -> None:
        self._host = host
        self._socket = sock
        self._context = context
        self._handshakes: dict[asyncio.Task[None], None] = {}  # the oldest first
        sock.setblocking(False)
        self._accepting = host.loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more and end handshakes that are not complete; connections go on."""
        self._accepting.cancel()
        self._accepting.add_done_callback(lambda _: self._socket.close())
        for task in self._handshakes:
            task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                accepted, _ = await self._host.loop.sock_accept(self._socket)
            except OSError as err:
                logger.error("a connection could not be accepted: %s", err)
                await asyncio.sleep(_ACCEPT_AGAIN_SECONDS)
                continue
            if len(self._handshakes) >= _HANDSHAKES:
                next(iter(self._handshakes)).cancel()
            task = self._host.loop.create_task(self._encrypt(accepted))
            self._handshakes[task] = None
            task.add_done_callback(self._handshakes.pop)

    async def _encrypt(self, accepted: socket.socket) -> None:
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._host.loop.connect_accepted_socket(
                lambda: ProtocolDetection(self._host),
                accepted,
                ssl=self._context(),
                ssl_handshake_timeout=self._host.limits.header_seconds,
            )
        except OSError:  # as are all errors of TLS: the client is gone, late, or of another mind
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise
