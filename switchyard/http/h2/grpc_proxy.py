"""A gRPC port that hands calls straight on to an engine where it may, and to a service of ours where it must.

Each client's connection has its own connection to either, so that no client's window can hold up another's calls.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from switchyard.http.h2 import frames
from switchyard.http.h2.connection import Connection, own_settings
from switchyard.http.h2.fields import Field, Memory, Reader, literals
from switchyard.http.h2.grpc_call import Answer, Call, Enter, Request
from switchyard.http.h2.server import ServerConnection
from switchyard.http.h2.stream import Stream

logger = logging.getLogger(__name__)

Address = tuple[str, int]
T = TypeVar("T")

_LAST_NUMBER = 2**31 - 1
_HOP = frozenset((b"connection", b"te"))


class Proxy:
    """``enter`` sees calls of the paths ``peeked``; ``forwarded`` says which header fields the ``engine`` gets."""

    def __init__(
        self, *, peeked: frozenset[str], enter: Enter, forwarded: Callable[[bytes], bool], engine: Address
    ) -> None:
        self.peeked = peeked
        self.enter = enter
        self.engine = engine
        self.service: Address | None = None
        self.requests = Memory(lambda fields: read_request(fields, forwarded))
        self.answers = Memory(_answer)
        self.clients: set[Client[Any]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    def passing(cls, service: Address) -> "Proxy":
        """One without a port and an engine: all calls of the connections that are made for it go to ``service``."""
        made = cls(peeked=frozenset(), enter=lambda request, held: None, forwarded=lambda name: True, engine=service)
        made.service = service
        return made

    async def start(self, host: str, port: int, service: Address) -> None:
        """Raises ``OSError`` when the port cannot be had."""
        self.service = service
        self._server = await asyncio.get_running_loop().create_server(lambda: _OfPort(self), host, port)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more calls, waits for those that run, and closes every connection."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self.clients):
            client.drain()
        try:
            async with asyncio.timeout(grace_seconds):
                await asyncio.gather(*(client.closed.wait() for client in tuple(self.clients)))
        except TimeoutError:
            logger.warning("calls were cut at the end of the grace", extra={"clients": len(self.clients)})
            for client in tuple(self.clients):
                client.abort()


class Client(ServerConnection[T]):
    """The connection of a client, and those that its calls go on by."""

    def __init__(self, proxy: Proxy, memory: Memory[T]) -> None:
        super().__init__(memory)
        self.proxy = proxy
        self._upstreams: dict[Address, _Upstream] = {}

    def call(self, request: Request) -> Call:
        return Call(request, self.proxy.enter, self, peeks=request.path in self.proxy.peeked)

    # -- streams to where calls go

    def direct(self, call: Call) -> Stream:
        return self._to(self.proxy.engine).open(call)

    def service(self, call: Call) -> Stream:
        assert self.proxy.service is not None
        return self._to(self.proxy.service).open(call)

    def _to(self, address: Address) -> "_Upstream":
        upstream = self._upstreams.get(address)
        if upstream is None or not upstream.takes_more:
            upstream = self._upstreams[address] = _Upstream(address, self.proxy.answers)
        return upstream

    # -- Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.proxy.clients.add(self)

    def goodbye(self) -> None:
        super().goodbye()
        for upstream in self._upstreams.values():
            upstream.close()
        self.proxy.clients.discard(self)


class _OfPort(Client[Request]):
    """A connection to the proxy's own port."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy, proxy.requests)

    def take(self, head: Request) -> Call:
        return self.call(head)


class _Upstream(Connection):
    """A connection to an engine or a service; what is sent before it stands is kept."""

    def __init__(self, address: Address, answers: Memory[Answer]) -> None:
        super().__init__()
        self.takes_more = True
        self._next = 1
        self._reader = Reader(answers)
        self.write(frames.PREFACE + own_settings(ENABLE_PUSH=0))
        self._connecting = asyncio.ensure_future(self._connect(address))

    def open(self, call: Call) -> Stream:
        stream = self.streams[self._next] = Stream(self, self._next, call)
        self._next += 2
        self.takes_more = self._next < _LAST_NUMBER
        return stream

    async def _connect(self, address: Address) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, *address)
        except OSError as err:
            self.connection_lost(err)

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        answer = self._reader.read(block)
        stream = self.streams.get(number)
        if stream is None:
            return
        stream.heard_all = end
        call = stream.half
        assert isinstance(call, Call)
        call.answer(answer, end)
        if end and stream.finished:
            self._forget(stream)

    def idle(self, number: int) -> bool:
        return number >= self._next or not number % 2

    def settings_acknowledged(self) -> None:
        self._reader.acknowledged()

    def going_away(self, last: int) -> None:
        self.takes_more = False
        for stream in [stream for number, stream in self.streams.items() if number > last]:
            self._forget(stream)
            stream.half.reset(stream, frames.REFUSED_STREAM)
        self.forgotten()

    def forgotten(self) -> None:
        if not (self.takes_more or self.streams):
            self.close()

    def goodbye(self) -> None:
        self.takes_more = False

    def close(self) -> None:
        self._connecting.cancel()
        super().close()


def read_request(fields: list[Field], forwarded: Callable[[bytes], bool]) -> Request:
    found = dict(fields)
    onward = [field for field in fields if field[0] not in _HOP]
    onward.append((b"te", b"trailers"))
    trace = found.get(b"traceparent")
    passed = [field for field in onward if field[0] != b"traceparent" and (field[0][:1] == b":" or forwarded(field[0]))]
    return Request(
        path=found.get(b":path", b"").decode("latin-1"),
        traceparent=None if trace is None else trace.decode("latin-1"),
        block=literals(onward),
        direct=literals(passed),
    )


def _answer(fields: list[Field]) -> Answer:
    status = dict(fields).get(b"grpc-status")
    return Answer(block=literals(fields), status=int(status) if status is not None and status.isdigit() else None)
