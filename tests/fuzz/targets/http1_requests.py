"""Requests of clients by HTTP/1.1: ``switchyard.http.server`` around llhttp, against h11."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import h11

from switchyard.http.server import Exchange, Server, ServerLimits
from tests.fuzz.inputs import cut
from tests.fuzz.mutation import changed_lines
from tests.fuzz.without_sockets import Loop

TOKENS = (
    *(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /p HTTP/1.1\r\nHost: x\r\n", b"Content-Length: 5\r\n", b"HTTP/1.0"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"Host: y\r\n",
        b"\r\n",
    ),
    *(
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\n",
        b"\r",
        b"\n",
    ),
    *(
        b"Connection: Upgrade\r\n",
        b"identity",
        b"gzip, chunked",
        b";ext=1",
        b"\0",
        b"\xff",
        b" ",
        b"\t",
        b":",
        b"HEAD ",
    ),
    *(
        b"http://h/x",
        b"CONNECT ",
        b"OPTIONS * ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"0x5",
        b"+5",
        b"_",
        b"%",
        b"\x0b",
    ),
)
_HTTP2 = b"PRI * HTTP/2.0\r\n"  # the preface, which the target http2_frames begins with
# Upgrades are declined by leaving these out; h11 writes framing anew.
_CHANGED = (b"upgrade", b"http2-settings", b"connection", b"transfer-encoding", b"content-length")
_BODY = 512
SHAPED = changed_lines
_LIMITS = ServerLimits(header_bytes=2048, buffer_bytes=256)


Request = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


@dataclass(slots=True)
class _Seen:
    """What handlers were given, what was sent back, and whether the connection was still open in the end."""

    methods: list[bytes] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    open: bool = False


_loop = Loop()
_seen = _Seen()


async def _handle(exchange: Exchange) -> None:
    assert exchange.method
    assert exchange.target
    _seen.methods.append(exchange.method)
    try:
        body = await exchange.body(_BODY)
    except Exception as err:
        _seen.failures.append(type(err).__name__)
        raise
    _seen.requests.append((exchange.method, exchange.target, exchange.headers, body))
    exchange.respond(200, [], b"ok")


async def _serve() -> Server:
    server = Server(_handle, _LIMITS)
    await server.listen("127.0.0.1", 0)
    return server


_server = _loop.run_until_complete(_serve())


def target(data: bytes) -> None:
    if data.startswith(_HTTP2[: len(data)]):
        return
    whole = _served([data])
    assert _served(cut(data)) == whole
    waiting = len(whole.methods) - len(whole.requests) - len(whole.failures)
    rejected = len(whole.statuses) - len(whole.methods) + waiting
    assert (waiting, rejected) in ((0, 0), (1, 0), (0, 1))
    assert not (whole.failures or rejected) or not whole.open
    for _, _, headers, body in whole.requests:
        assert len(body) <= _BODY
        assert sum(len(name) + len(value) for name, value in headers) <= _LIMITS.header_bytes
    for ours, reference in zip(whole.requests, _by_h11(data), strict=False):
        assert _comparable(ours) == _comparable(reference)


def _served(chunks: Iterable[bytes]) -> _Seen:
    global _seen
    seen = _seen = _Seen()
    assert _loop.accept is not None
    wire = _loop.wire(_loop.accept)
    _loop.feed(wire, chunks)
    seen.open = not (wire.closed or wire.ended)
    _loop.call_soon(wire.lose)
    _loop.turn()
    assert not _server.in_flight
    _loop.check()
    seen.statuses = _statuses(bytes(wire.out), seen.methods)
    return seen


def _statuses(out: bytes, methods: list[bytes]) -> list[int]:
    """The final statuses of the responses in ``out``, which must be whole."""
    found: list[int] = []
    while out:
        lines, end, out = out.partition(b"\r\n\r\n")
        assert end
        match = re.match(rb"HTTP/1\.1 ([0-9]{3}) ", lines)
        assert match is not None, out
        status = int(match[1])
        if status == 100:
            continue
        length = re.search(rb"\r\ncontent-length: ([0-9]+)", lines)
        assert length is not None
        if len(found) >= len(methods) or methods[len(found)] != b"HEAD":
            assert len(out) >= int(length[1])
            out = out[int(length[1]) :]
        found.append(status)
    return found


def _comparable(request: Request) -> Request:
    """Without what either changes: an absolute target becomes a path here, and its authority the host."""
    method, target, headers, body = request
    if (absolute := re.match(rb"(?i:https?)://([^/?]*)/?", target)) is not None:
        target = b"/" + target[absolute.end() :]
        headers = [(b"host", absolute[1]), *(header for header in headers if header[0] != b"host")]
    return method, target, [header for header in headers if header[0] not in _CHANGED], body


def _by_h11(data: bytes) -> list[Request]:
    """The requests that h11 reads out of ``data``, up to what it rejects."""
    connection = h11.Connection(h11.SERVER)
    found: list[Request] = []
    try:
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                headers = [(bytes(name).lower(), bytes(value)) for name, value in event.headers]
                method, target, body = bytes(event.method), bytes(event.target), b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.append((method, target, headers, body))
                connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return found
                connection.start_next_cycle()
            else:
                return found
    except h11.ProtocolError:
        return found
