"""Who opens a WebSocket: the key comes with the handshake, or as the first message."""

import binascii
from base64 import b64decode

from switchyard.gateway.call import Call
from switchyard.gateway.edges.http import HttpEdge
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.tenants.directory import Identity
from switchyard.gateway.websocket.edge import SocketEdge
from switchyard.http.api_errors import ApiError
from switchyard.http.headers import CREDENTIALS, Header
from switchyard.http.server.exchange import Exchange
from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.connection import WebSocket
from switchyard.http.server.websocket.handshake import VERSION, subprotocols
from switchyard.shares import Shares

SUBPROTOCOL = "switchyard.v1"
_KEY = "switchyard.key."  # and the key in base64url: a page cannot set headers of a handshake
_SWITCHING = 101


class Places:
    """How many WebSockets are open, and whose; tenants share them, so that none can hold all."""

    def __init__(self, most: int) -> None:
        self._shares = Shares(most)

    @property
    def used(self) -> int:
        return self._shares.used

    def take(self, identity: Identity | None) -> None:
        """Count a socket.

        Raises:
            ApiError: 503 when there are as many as may be, 429 when the tenant has as many as are left to others.
        """
        tenant = None if identity is None else identity.tenant
        full = self._shares.full(tenant)
        if full == "platform":
            raise ApiError("overloaded", f"the gateway has {self._shares.total} WebSockets open; try again")
        if full == "owner" and tenant is not None:
            message = f"tenant {tenant} has {self._shares.held(tenant)} WebSockets open, as many as it may; close some"
            raise ApiError("too_many_requests", message, retry_after=1)
        self._shares.take(tenant)

    def give_back(self, identity: Identity | None) -> None:
        """Count a socket as closed."""
        self._shares.give_back(None if identity is None else identity.tenant)


class HandshakeEdge(HttpEdge):
    """The response of an opening handshake: a ``socket``, or an error as of any request."""

    __slots__ = ("places", "socket")

    socket: WebSocket | None
    places: Places

    def open(self, identity: Identity | None) -> None:
        """Open the socket. Raises as ``Places.take``."""
        self.places.take(identity)
        self.code = _SWITCHING
        chosen = SUBPROTOCOL in subprotocols(self._exchange.fields)
        protocol = [(b"sec-websocket-protocol", SUBPROTOCOL.encode())] if chosen else []
        self.socket = self._exchange.accept_websocket([*self._own, *protocol])


class FirstMessageEdge(SocketEdge):
    """The response to a key that came as a message: the socket is ``admitted``, or closes with 1008 or 1013."""

    __slots__ = ("_places", "admitted")

    def __init__(self, socket: WebSocket, request_id: bytes, places: Places) -> None:
        super().__init__(socket, None, request_id, b"", "openai")
        self._places = places
        self.admitted = False

    def open(self, identity: Identity | None) -> None:
        """Say that requests are taken now; the socket becomes that of a tenant. Raises as ``Places.take``."""
        self._places.take(identity)
        self._places.give_back(None)
        self.code, self.admitted = _SWITCHING, True
        self._finish(b'{"ready":true}')

    def fail(self, error: ApiError) -> None:
        super().fail(error)
        full = error.code in ("overloaded", "too_many_requests")
        self._socket.close(codes.TRY_AGAIN_LATER if full else codes.POLICY_VIOLATION, error.code)


async def opened(call: Call, proceed: Proceed) -> None:
    """Stage: opens the WebSocket of a call that has passed the others; a call without one is told how to get it."""
    if isinstance(call.edge, HandshakeEdge | FirstMessageEdge):
        call.edge.open(call.identity)
        return
    message = f"{call.path.decode('latin-1')[:200]} is a WebSocket: shake hands by RFC 6455, over HTTP/1.1"
    call.edge.add_headers([(b"upgrade", b"websocket"), VERSION])
    raise ApiError("upgrade_required", message)


def credentials(exchange: Exchange) -> list[Header]:
    """Return the headers of a handshake that have its key, or one that its subprotocols have.

    Raises:
        ApiError: a subprotocol has no key, or all of them are unknown.
    """
    found = [header for header in exchange.headers if header[0] in CREDENTIALS and header[0] != b"cookie"]
    offered = subprotocols(exchange.fields)
    if offered and SUBPROTOCOL not in offered:  # browsers close a socket of which no subprotocol was chosen
        raise ApiError("invalid_value", f"none of the subprotocols is {SUBPROTOCOL}: offer that")
    keys = [_decoded(name.removeprefix(_KEY)) for name in offered if name.startswith(_KEY)]
    return [*found, *((b"authorization", b"Bearer " + key) for key in keys)]


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise ApiError("invalid_value", f"after {_KEY} comes the key in base64url") from None
