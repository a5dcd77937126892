"""By which names a port serves requests: the same in HTTP/1.1, in HTTP/2 and in gRPC, before any handler."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field
from switchyard.http.h2.grpc_call import FastCall, FastHandler, GrpcCall, RpcRequest
from switchyard.http.h2.grpc_call.messages import framed
from switchyard.http.server import Exchange, Server
from switchyard.http.web_access import WebAccess
from tests.switchyard.http.h2.raw import DEADLINE, HOST, Talk

POST = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a/B")]
GRPC = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
LOOPBACK, ANYWHERE = WebAccess(HOST), WebAccess("0.0.0.0")
SERVED, ANOTHERS, MALFORMED = "served", "another's", "malformed"

NAMES = {
    "localhost": (b"localhost:80", None, SERVED),
    "an address": (b"127.0.0.1:80", None, SERVED),
    "another's": (b"evil.example", None, ANOTHERS),
    "ours, twice": (b"localhost", b"LOCALHOST:80", SERVED),
    "ours, and another's as host": (b"localhost", b"evil.example", MALFORMED),
    "another's, and ours as host": (b"evil.example", b"localhost", MALFORMED),
    "ours, and another port as host": (b"localhost:8000", b"localhost:8001", MALFORMED),
}


class Rpc(FastHandler):
    """Responds to every call; keeps what reached it."""

    paths = frozenset(("/a/B",))

    def __init__(self) -> None:
        self.reached = 0

    def admit(self, request: RpcRequest, beginning: bytes) -> FastCall | None:
        self.reached += 1
        return None

    async def __call__(self, call: GrpcCall) -> None:
        self.reached += 1
        call.respond(await call.first_message(100))


class Port:
    """A server whose handlers count the requests that reach them."""

    def __init__(self, access: WebAccess) -> None:
        self.rpc, self.requests = Rpc(), 0
        self.server = Server(self.handle, rpc=self.rpc, access=access)

    async def handle(self, exchange: Exchange) -> None:
        self.requests += 1
        exchange.respond(200, [], b"served")

    @property
    def reached(self) -> bool:
        return bool(self.requests or self.rpc.reached)


@asynccontextmanager
async def port(access: WebAccess) -> AsyncIterator[tuple[Port, int]]:
    made = Port(access)
    number = await made.server.listen(HOST, 0)
    try:
        yield made, number
    finally:
        await made.server.aclose()


async def said(number: int, fields: list[Field], kind: int, body: bytes | None = None) -> bytes:
    """The payload of the response's first frame of a ``kind``."""
    talk = await Talk.to(number, fields, ends=body is None)
    if body is not None:
        talk.sends(1, body)
    try:
        return await talk.hears(kind)
    finally:
        await talk.disconnects()


def asked(authority: bytes, host: bytes | None) -> list[Field]:
    return [*POST, (b":authority", authority), *([(b"host", host)] if host is not None else [])]


@pytest.mark.parametrize(("authority", "host", "expected"), NAMES.values(), ids=NAMES)
async def test_a_port_on_loopback_serves_its_own_names_in_every_protocol(
    authority: bytes, host: bytes | None, expected: str
) -> None:
    fields = asked(authority, host)
    kind = frames.RST_STREAM if expected == MALFORMED else frames.HEADERS
    async with port(LOOPBACK) as (here, number):
        response = await said(number, fields, kind)
        call = await said(number, [*fields, *GRPC], kind, framed(b"x"))
        reached = here.reached
        if host is None:
            reader, writer = await asyncio.open_connection(HOST, number)
            writer.write(b"POST /a/B HTTP/1.1\r\nContent-Length: 0\r\nHost: %b\r\n\r\n" % authority)
            async with asyncio.timeout(DEADLINE):
                line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            assert line[9:12] == (b"200" if expected == SERVED else b"421")
    assert reached is (expected == SERVED)
    if expected == MALFORMED:
        assert response == call == frames.uint32(frames.PROTOCOL_ERROR)
    elif expected == ANOTHERS:
        assert b"\x03421" in response
        assert b"nothing here is called evil.example" in call
        assert b"grpc-status\x013" in call  # INVALID_ARGUMENT, of any 4xx without an entry of its own
    else:
        assert b"\x03200" in response
        assert b"grpc-status" not in call


@pytest.mark.parametrize(("authority", "host", "expected"), NAMES.values(), ids=NAMES)
async def test_a_port_elsewhere_serves_every_name_and_takes_what_proxies_rewrote(
    authority: bytes, host: bytes | None, expected: str
) -> None:
    fields = asked(authority, host)
    async with port(ANYWHERE) as (here, number):
        assert b"\x03200" in await said(number, fields, frames.HEADERS)
        assert b"grpc-status" not in await said(number, [*fields, *GRPC], frames.HEADERS, framed(b"x"))
        assert (here.requests, here.rpc.reached) == (1, 2)


async def test_a_page_of_another_site_cannot_call_either() -> None:
    fields = [*asked(b"localhost", None), *GRPC, (b"origin", b"https://evil.example")]
    async with port(LOOPBACK) as (here, number):
        call = await said(number, fields, frames.HEADERS, framed(b"x"))
        assert b"grpc-status\x017" in call  # PERMISSION_DENIED
        assert not here.reached
