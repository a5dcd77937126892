"""The first message of a gRPC call, plain or compressed: ``switchyard.http.h2.grpc_call``.

The input is what the call says of its encoding, a line feed, and the call's data.
"""

import zlib
from dataclasses import dataclass

from switchyard.http.h2.fields import literals
from switchyard.http.h2.frames import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, frame_header, settings
from switchyard.http.h2.grpc_call import GrpcCall
from switchyard.http.server import Exchange, Server
from switchyard.rpc.status import RpcError, RpcStatus
from tests.fuzz.inputs import cut
from tests.fuzz.without_sockets import Loop

TOKENS = (
    *(b"\0\0\0\0\0", b"\0\0\0\0\5hello", b"\1\0\0\0\x0d", b"\0\0\0\1\0", b"\2\0\0\0\0", b"\xff\xff\xff\xff"),
    *(b"gzip\n", b"deflate\n", b"identity\n", b"snappy\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\x78\x9c", b"\x03\0"),
)
_LIMIT = 512
_CALL = (
    *((b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/fuzz.Service/Call")),
    *((b"content-type", b"application/grpc"), (b"te", b"trailers")),
)


@dataclass(frozen=True, slots=True)
class _Read:
    """The message that a handler was given, or the status with which it was not."""

    message: bytes | None = None
    status: RpcStatus = RpcStatus.OK


_loop = Loop()
_read: list[_Read] = []


async def _call(call: GrpcCall) -> None:
    try:
        message = await call.first_message(_LIMIT)
    except RpcError as err:
        _read.append(_Read(status=err.status))
        raise
    _read.append(_Read(message))
    call.respond(message)


async def _no_request(exchange: Exchange) -> None:
    raise AssertionError("this is a gRPC call")


async def _serve() -> Server:
    server = Server(_no_request, rpc=_call)
    await server.listen("127.0.0.1", 0)
    return server


_server = _loop.run_until_complete(_serve())


def target(data: bytes) -> None:
    line, _, body = data.partition(b"\n")
    encoding = line if line in (b"gzip", b"deflate") else b"identity"
    whole = _called(encoding, [body])
    assert whole == _expected(encoding, body)
    assert _called(encoding, cut(body)) == whole


def _called(encoding: bytes, chunks: list[bytes]) -> _Read:
    block = literals([*_CALL, (b"grpc-encoding", encoding)])
    sent = [PREFACE + settings({}) + frame_header(len(block), HEADERS, END_HEADERS, 1) + block]
    sent += [frame_header(len(chunk), DATA, 0, 1) + chunk for chunk in chunks]
    assert _loop.accept is not None
    wire = _loop.wire(_loop.accept)
    _read.clear()
    _loop.feed(wire, [*sent, frame_header(0, DATA, END_STREAM, 1)])
    _loop.call_soon(wire.lose)
    _loop.turn()
    assert not _server.in_flight
    _loop.check()
    (read,) = _read
    return read


def _expected(encoding: bytes, body: bytes) -> _Read:
    """By the protocol: a flag, a length in four bytes, and a message of so many."""
    length = int.from_bytes(body[1:5], "big")
    if len(body) < 5:
        return _Read(status=RpcStatus.INVALID_ARGUMENT)
    if length > _LIMIT:
        return _Read(status=RpcStatus.RESOURCE_EXHAUSTED)
    message = body[5 : 5 + length]
    if len(message) < length:
        return _Read(status=RpcStatus.INVALID_ARGUMENT)
    if not body[0]:
        return _Read(message)
    if encoding not in (b"gzip", b"deflate"):
        return _Read(status=RpcStatus.UNIMPLEMENTED)
    return _decompressed(message)


def _decompressed(message: bytes) -> _Read:
    stream = zlib.decompressobj(32 + zlib.MAX_WBITS)
    try:
        made = stream.decompress(message, _LIMIT + 1)
    except zlib.error:
        return _Read(status=RpcStatus.INVALID_ARGUMENT)
    if len(made) > _LIMIT:
        return _Read(status=RpcStatus.RESOURCE_EXHAUSTED)
    return _Read(made) if stream.eof and not stream.unused_data else _Read(status=RpcStatus.INVALID_ARGUMENT)
