"""The opening handshake of a WebSocket (RFC 6455 §4.2), over HTTP/1.1."""

import re
from collections.abc import Mapping
from typing import Protocol

from wsproto.utilities import generate_accept_token

from switchyard.http.headers import Header

VERSION: Header = (b"sec-websocket-version", b"13")
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")  # 16 bytes in base64


class Request(Protocol):
    """What a handshake is seen by."""

    method: bytes
    version: str
    fields: Mapping[bytes, bytes]

    @property
    def read_to_end(self) -> bool:
        """Whether nothing of a body is left."""


def is_handshake(request: Request) -> bool:
    """Return whether a request asks for a WebSocket of this version, and nothing that it says contradicts that."""
    fields = request.fields
    protocols = {token.strip().lower() for token in fields.get(b"upgrade", b"").split(b",")}
    return (
        request.method == b"GET"
        and request.version == "1.1"
        and b"websocket" in protocols
        and fields.get(VERSION[0]) == VERSION[1]
        and _KEY.fullmatch(fields.get(b"sec-websocket-key", b"")) is not None
        and request.read_to_end
    )


def upgrade_headers(request: Request) -> list[Header]:
    """Return the headers that accept a handshake; it gets none of the extensions, so nothing is ever decompressed."""
    accepted = generate_accept_token(request.fields[b"sec-websocket-key"])
    return [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", accepted)]


def subprotocols(fields: Mapping[bytes, bytes]) -> list[str]:
    """Return the subprotocols that a client offers, in its order."""
    offered = fields.get(b"sec-websocket-protocol", b"").decode("latin-1")
    return [name for part in offered.split(",") if (name := part.strip())]
