"""Requests of clients by HTTP/2: ``switchyard.http.server`` and its ``h2``; the input follows the preface."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import h11

from switchyard.http.h2.frames import PREFACE
from switchyard.http.h2.grpc_call import GrpcCall
from switchyard.http.server import Exchange, Server, ServerLimits
from tests.fuzz.http2_output import read_back
from tests.fuzz.inputs import cut
from tests.fuzz.mutation import changed_frames, frames
from tests.fuzz.without_sockets import Loop

TOKENS = (
    *(
        b"\0\0\0\4\0\0\0\0\0",
        b"\0\0\x08\6\0\0\0\0\0PINGPING",
        b"\0\0\4\3\0\0\0\0\1\0\0\0\x08",
        b"\0\0\4\x08\0\0\0\0\0\0\0\1\0",
    ),
    *(
        b"\0\0\5\0\1\0\0\0\1hello",
        b"\x82",
        b"\x84",
        b"\x86",
        b"\x87",
        b"\x83",
        b"\x01\x01x",
        b"\x40\x01a\x01b",
        b"\xbe",
    ),
    *(
        b"\x3f\xe1\x1f",
        b"\x20",
        b"\x0f\x0d\x015",
        b"\0\x0e\x63ontent-length\x015",
        b"\0\x04host\x01y",
        b"\0\x02te\x08trailers",
    ),
    *(b"\0\0\4\3\0\0\0\0\1\0\0\0\0", b"\0\0\5\2\0\0\0\0\1\0\0\0\0\x10", b"\0\0\0\x09\4\0\0\0\1", b"\xff\xff\xff\xff"),
)
SHAPED = changed_frames
_RST_STREAM = 3
_BODY = 512
_AMPLIFIED = 64  # times as many bytes as were sent may be sent back, beside what a connection begins with
_BEGINNING = 1024
_LIMITS = ServerLimits(buffer_bytes=256)

# h11 takes no bytes beyond ASCII in a target; both of our servers do, as nginx does, and our client sends none.
_PLAIN = bytes(range(128)) + b"x" * 128

Request = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


@dataclass(slots=True)
class _Seen:
    """What handlers were given, with which code the connection was given up (-1: it was not), if a stream was reset."""

    requests: list[Request] = field(default_factory=list)
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    goaway: int = -1
    reset: bool = False


_loop = Loop()
_seen = _Seen()


async def _handle(exchange: Exchange) -> None:
    body = await exchange.body(_BODY)
    _seen.requests.append((exchange.method, exchange.target, exchange.headers, body))
    exchange.respond(200, [(b"content-type", b"text/plain")], body)


async def _call(call: GrpcCall) -> None:
    message = await call.first_message(_BODY)
    _seen.calls.append((call.path, message))
    call.respond(message)


async def _serve() -> Server:
    server = Server(_handle, _LIMITS, rpc=_call)
    await server.listen("127.0.0.1", 0)
    return server


_server = _loop.run_until_complete(_serve())


def target(data: bytes) -> None:
    whole = _served([PREFACE + data])
    chopped = _served([PREFACE, *cut(data)])
    resets = whole.reset or chopped.reset or any(kind == _RST_STREAM for kind, _, _, _ in frames(data))
    if not resets:  # of either side: then it depends on who comes first
        assert sorted(chopped.requests) == sorted(whole.requests)
        assert sorted(chopped.calls) == sorted(whole.calls)
        assert chopped.goaway == whole.goaway
    for request in whole.requests:
        _check_downgrade(*request)


def _served(chunks: Iterable[bytes]) -> _Seen:
    global _seen
    seen = _seen = _Seen()
    assert _loop.accept is not None
    wire = _loop.wire(_loop.accept)
    sent = list(chunks)
    _loop.feed(wire, sent)
    _loop.call_soon(wire.lose)
    _loop.turn()
    assert not _server.in_flight
    _loop.check()
    assert len(wire.out) <= _BEGINNING + _AMPLIFIED * sum(map(len, sent))
    written = read_back(bytes(wire.out))
    seen.goaway, seen.reset = written.goaway, bool(written.reset)
    return seen


def _check_downgrade(method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Passed on by HTTP/1.1, which has other rules for what ends a field, it is still one request and the same."""
    path = path.translate(_PLAIN)
    kept = [header for header in headers if header[0] not in (b"content-length", b"te", b"expect")]
    lines = [
        b"%b %b HTTP/1.1" % (method, path),
        *(b"%b: %b" % header for header in kept),
        b"content-length: %d" % len(body),
    ]
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (method, path)
    assert [(bytes(name), bytes(value)) for name, value in request.headers][:-1] == kept
    read = b""
    while isinstance(event := connection.next_event(), h11.Data):
        read += event.data
    assert read == body
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
