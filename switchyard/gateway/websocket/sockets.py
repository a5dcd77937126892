"""The WebSockets of a gateway: who opens one, how many there are, and how they end."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from switchyard.gateway.call import Call, request_id
from switchyard.gateway.edges.cors import Cors
from switchyard.gateway.edges.http import http_call
from switchyard.gateway.meter import Meter
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.routes.match import Match, Router
from switchyard.gateway.websocket.messages import Key, MessageError, read
from switchyard.gateway.websocket.opening import FirstMessageEdge, HandshakeEdge, Places, credentials, opened
from switchyard.gateway.websocket.session import Session
from switchyard.http.api_errors import ApiError
from switchyard.http.headers import CREDENTIALS, Header
from switchyard.http.server.exchange import Exchange
from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.connection import WebSocket

__all__ = ["SocketLimits", "Sockets", "opened"]

_COUNTED = frozenset((*codes.SENT, codes.LOST))


@dataclass(frozen=True, kw_only=True, slots=True)
class SocketLimits:
    """How many WebSockets a gateway has, requests in progress one of them, and seconds until its key has to come."""

    sockets: int = 4096  # a quarter of a port's connections; twice the calls in flight of a gateway by default
    requests: int = 64  # a page or program has a handful; as many as HTTP/2 clients have streams at a time
    key_seconds: float = 5.0  # two round trips at their slowest; until then a stranger holds a place


class Sockets:
    """Opens WebSockets and runs their sessions; ``keyed`` says that the gateway asks for keys."""

    def __init__(
        self,
        pipelines: Mapping[str, Proceed],
        cors: Cors,
        meter: Meter,
        limits: SocketLimits | None = None,
        *,
        keyed: bool,
    ) -> None:
        self._pipelines = pipelines
        self._router = Router()
        self._cors = cors
        self._metrics = metrics = meter.metrics.sockets
        self._keyed = keyed
        self._limits = limits or SocketLimits()
        self._places = Places(self._limits.sockets)
        self._time = asyncio.get_running_loop().time
        metrics.open.set_function(lambda: self._places.used)
        for code in sorted(_COUNTED):
            metrics.closed.labels(str(code))  # at 0: a rate sees the first one too

    async def serve(self, exchange: Exchange, found: Match) -> None:
        """Respond to an opening handshake, and then to messages until the socket closes."""
        call = http_call(exchange, found, self._cors, self._time(), HandshakeEdge)
        edge = call.edge
        assert isinstance(edge, HandshakeEdge)
        edge.socket, edge.places = None, self._places
        try:
            keys = credentials(exchange)
            call.headers = [*(header for header in call.headers if header[0] not in CREDENTIALS), *keys]
            call.fields = dict(call.headers)
            if keys or not self._keyed:
                await self._pipelines[found.route.by](call)
            else:
                edge.open(None)
        except ApiError as err:
            edge.fail(err)
        if edge.socket is not None:
            await self._run(edge.socket, call, keys)

    async def _run(self, socket: WebSocket, call: Call, keys: list[Header]) -> None:
        try:
            if self._keyed and not keys:
                keys = await self._first_key(socket, call)
                if not keys:
                    return
            if call.identity is not None:
                socket.held_for(call.identity.tenant)
            session = Session(
                socket, keys, pipelines=self._pipelines, router=self._router, requests=self._limits.requests
            )
            await session.run()
        finally:
            self._places.give_back(call.identity)
            code = socket.close_code
            self._metrics.closed.labels(str(code) if code in _COUNTED else "other").inc()

    async def _first_key(self, socket: WebSocket, call: Call) -> list[Header]:
        """Return the header with the key that comes as the first message; nothing after one that is not valid."""
        identifier = request_id(None)
        edge = FirstMessageEdge(socket, identifier, self._places)
        try:
            async with asyncio.timeout(self._limits.key_seconds):
                asked = await read(await socket.receive())
        except TimeoutError:
            socket.close(codes.POLICY_VIOLATION, f"no key came within {self._limits.key_seconds:g} s")
            return []
        except MessageError as err:
            edge.fail(err.error)
            return []
        if not isinstance(asked, Key):
            edge.fail(ApiError("invalid_api_key", 'the first message must be {"key": "sy-…"}, or send it before'))
            return []
        keys = [(b"authorization", b"Bearer " + asked.key)]
        checked = Call(
            edge,
            call.route,
            call.params,
            method=call.method,
            path=call.path,
            query=b"",
            headers=keys,
            fields=dict(keys),
            request_id=identifier,
            started=self._time(),
        )
        await self._pipelines[call.route.by](checked)
        call.identity = checked.identity if edge.admitted else None
        return keys if edge.admitted else []
