"""What an upstream sends back on a gRPC call that is forwarded: ``switchyard.http.h2``, the client's side of it.

The input follows the upstream's first SETTINGS, before which no call is sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from switchyard.http.h2.fields import literals
from switchyard.http.h2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    SETTINGS,
    frame_header,
    settings,
)
from switchyard.http.h2.grpc_call import forward_to
from switchyard.http.server import Exchange, Server
from tests.fuzz.http2_output import Field, read_back
from tests.fuzz.inputs import cut
from tests.fuzz.mutation import changed_frames
from tests.fuzz.without_sockets import Loop

TOKENS = (
    *(b"\0\0\0\4\0\0\0\0\0", b"\0\0\0\4\1\0\0\0\0", b"\0\0\4\3\0\0\0\0\1\0\0\0\x07", b"\0\0\4\x08\0\0\0\0\0\0\0\1\0"),
    *(b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\0", b"\x88", b"\x8d", b"\0\x0bgrpc-status\x010", b"\0\x0bgrpc-status\x0299"),
    *(b"\0\x07:status\x03200", b"\0\x07:status\x03503", b"\0\x0cgrpc-message\x03%zz", b"\0\0\0\0\2ok", b"\x20"),
)
SHAPED = changed_frames
_MOST_OUT = 4096 + 4096  # bytes to the client: what an input holds, and what we say ourselves
_BLOCK = literals(
    [
        *((b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/fuzz.Service/Call")),
        *((b"content-type", b"application/grpc"), (b"te", b"trailers")),
    ]
)
_CALL = (
    frame_header(len(_BLOCK), HEADERS, END_HEADERS, 1)
    + _BLOCK
    + frame_header(10, DATA, END_STREAM, 1)
    + b"\0\0\0\0\5hello"
)


@dataclass(frozen=True, slots=True)
class _Got:
    """What the client was given: blocks of header fields, data, and how its stream was reset, if it was."""

    fields: list[list[Field]]
    data: bytes
    reset: int | None


_loop = Loop()


async def _no_request(exchange: Exchange) -> None:
    raise AssertionError("this is a gRPC call")


async def _serve() -> Server:
    server = Server(_no_request, rpc=forward_to("127.0.0.1:1"))
    await server.listen("127.0.0.1", 0)
    return server


_server = _loop.run_until_complete(_serve())


def target(data: bytes) -> None:
    whole = _forwarded([data])
    assert _forwarded(cut(data)) == whole
    assert whole.fields or whole.reset is not None  # a call always ends, whatever its upstream does


def _forwarded(chunks: Iterable[bytes]) -> _Got:
    assert _loop.accept is not None
    client = _loop.wire(_loop.accept)
    _loop.feed(client, [PREFACE + settings({}) + _CALL])
    (upstream,) = (wire for wire in _loop.wires if wire is not client)
    _loop.feed(upstream, [settings({}) + frame_header(0, SETTINGS, ACK, 0)])
    _loop.feed(upstream, chunks)
    _loop.call_soon(upstream.lose)
    _loop.turn()
    out = bytes(client.out)
    _loop.call_soon(client.lose)
    _loop.turn()
    for wire in _loop.wires:
        _loop.call_soon(wire.lose)
    _loop.turn()
    assert not _server.in_flight
    _loop.check()
    assert len(out) <= _MOST_OUT
    written = read_back(out)
    assert 1 in written.ended
    assert written.goaway == -1  # the client has done nothing
    return _Got(written.fields.get(1, []), written.data.get(1, b""), written.reset.get(1))
