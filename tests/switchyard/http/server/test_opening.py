"""Which protocol a client speaks on the one port: by its first bytes, or by ALPN where there is TLS."""

import asyncio
import contextlib
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from switchyard.http.h2 import frames
from switchyard.http.server import Exchange, Server, ServerLimits
from tests.switchyard.http.h2.raw import DEADLINE, HOST
from tests.switchyard.http.serving import serving, until


async def tell(exchange: Exchange) -> None:
    exchange.respond(200, [], f"{exchange.version} {exchange.scheme}".encode())


def client_of(port: int, *, http2: bool, tls: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    scheme = "http" if tls is None else "https"
    return httpx.AsyncClient(
        base_url=f"{scheme}://localhost:{port}",
        http1=not http2,
        http2=http2,
        verify=tls or True,
        trust_env=False,
        timeout=DEADLINE,
    )


async def test_both_protocols_are_served_on_the_same_port() -> None:
    async with (
        serving(tell) as running,
        client_of(running.port, http2=False) as old,
        client_of(running.port, http2=True) as new,
    ):
        for _ in range(3):
            assert (await old.get("/")).content == b"1.1 http"
            assert (await new.get("/")).content == b"2 http"


@pytest.mark.parametrize(
    "greeting", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", frames.PREFACE, b"PUT / HTTP/1.1\r\nhost: x\r\n\r\n"]
)
async def test_a_greeting_that_comes_byte_by_byte_is_understood(greeting: bytes) -> None:
    async with serving(tell) as running, asyncio.timeout(DEADLINE):
        wire = await running.wire()
        for byte in greeting:
            wire.send(bytes((byte,)))
            await wire.writer.drain()
        response = await wire.exactly(9)
        # HTTP/2 begins with SETTINGS.
        assert response[3] == frames.SETTINGS if greeting == frames.PREFACE else response == b"HTTP/1.1 "


async def test_a_preface_that_breaks_off_is_given_up_in_time() -> None:
    async with serving(tell, ServerLimits(header_seconds=0.05)) as running:
        wire = await running.wire()
        wire.send(frames.PREFACE[:10])
        assert await wire.rest() == b""


async def test_what_only_begins_like_the_preface_is_a_bad_request_of_http_1() -> None:
    async with serving(tell) as running:
        wire = await running.wire()
        wire.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
        assert (await wire.answer())[0] in (400, 505)
        assert await wire.rest() == b""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of localhost in one file."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    made.write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return made


def contexts(certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server and of a client."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    server.set_alpn_protocols(["h2", "http/1.1"])
    return server, ssl.create_default_context(cafile=str(certificate))


async def test_with_tls_the_client_chooses_the_protocol_by_alpn(certificate: Path) -> None:
    served, known = contexts(certificate)
    server = Server(tell, tls=lambda: served)
    port = await server.listen(HOST, 0)
    async with client_of(port, http2=False, tls=known) as old:
        assert (await old.get("/")).content == b"1.1 https"
    async with client_of(port, http2=True, tls=known) as new:
        response = await new.get("/")
        assert (response.http_version, response.content) == ("HTTP/2", b"2 https")
    await server.aclose()


async def test_with_tls_large_bodies_pass_both_ways_and_a_disconnect_cancels(certificate: Path) -> None:
    ended = asyncio.Event()

    async def echo(exchange: Exchange) -> None:
        if exchange.path == b"/hold":
            try:
                await asyncio.sleep(DEADLINE)
            finally:
                ended.set()
        exchange.respond(200, [], await exchange.body(2**24))

    served, known = contexts(certificate)
    server = Server(echo, tls=lambda: served)
    port = await server.listen(HOST, 0)
    body = bytes(range(256)) * 20_000
    for http2 in (False, True):
        async with client_of(port, http2=http2, tls=known) as client:
            assert (await client.post("/", content=body)).content == body
            holding = asyncio.ensure_future(client.post("/hold"))
            await until(lambda: server.in_flight)
        await until(ended.is_set)
        ended.clear()
        with contextlib.suppress(httpx.TransportError):
            await holding
    await server.aclose()


async def test_a_client_without_tls_gets_nothing_from_a_port_with_it(certificate: Path) -> None:
    server = Server(tell, tls=lambda: contexts(certificate)[0])
    reader, writer = await asyncio.open_connection(HOST, await server.listen(HOST, 0))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(ConnectionError):
            assert not (await reader.read()).startswith(b"HTTP")
    writer.close()
    await server.aclose()
