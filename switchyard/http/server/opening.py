"""A connection until its protocol is known."""

import asyncio
from typing import Protocol, cast

from switchyard.http.h2.frames import PREFACE
from switchyard.http.server.http1_connection import Host as Http1Host
from switchyard.http.server.http1_connection import Http1Connection
from switchyard.http.server.http2_connection import Host as Http2Host
from switchyard.http.server.http2_connection import Http2Connection


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
        if encrypted is not None and encrypted.selected_alpn_protocol() == "h2":
            self._become(Http2Connection(self._host))
        elif encrypted is not None:
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
