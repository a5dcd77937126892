"""TLS of the one port: who gets in, what a rotation changes and what it does not, and how long a handshake may take."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from switchyard.http.h2 import frames
from switchyard.http.server import Exchange, Server, ServerLimits, opening
from switchyard.http.tls import TlsError, TlsFiles, WatchedTls
from tests.switchyard.http.certificates import Authority, Issued, encoded
from tests.switchyard.http.h2.raw import DEADLINE, HOST
from tests.switchyard.http.serving import until

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority("ours", tmp_path_factory.mktemp("ours"))


@pytest.fixture
def served(authority: Authority, tmp_path: Path) -> Issued:
    """A server's certificate in files of this test."""
    here = Issued(tmp_path / "tls.crt", tmp_path / "tls.key")
    authority.issue("first").copy_to(here)
    return here


@dataclass
class Bench:
    """A server with TLS, its port, and how each reading of its files ended."""

    server: Server
    port: int
    authority: Authority
    readings: list[bool] = field(default_factory=list)

    async def connect(self, context: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(DEADLINE):
            return await asyncio.open_connection(
                HOST, self.port, ssl=context or self.client(), server_hostname="localhost"
            )

    def client(self, issued: Issued | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.path))
        if issued is not None:
            context.load_cert_chain(issued.certificate, issued.key)
        return context

    async def subject(self) -> str:
        """The name in the certificate that a new connection sees."""
        _, writer = await self.connect()
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(found).subject.rfc4514_string()


@asynccontextmanager
async def running(
    authority: Authority, files: TlsFiles, limits: ServerLimits | None = None, release: asyncio.Event | None = None
) -> AsyncIterator[Bench]:
    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-length", b"10")])
        exchange.write(b"begun")
        if release is not None:
            await release.wait()
        exchange.write(b"ended")
        exchange.end()

    readings: list[bool] = []
    tls = WatchedTls(files, lambda valid, expires: readings.append(valid))
    server = Server(stream, limits, tls=tls)
    following = asyncio.create_task(tls.follow())
    try:
        yield Bench(server, await server.listen(HOST, 0), authority, readings)
    finally:
        following.cancel()
        await asyncio.wait({following})
        await server.aclose()


def files(issued: Issued, client_ca: Path | None = None) -> TlsFiles:
    return TlsFiles(issued.certificate, issued.key, client_ca)


async def responded(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(DEADLINE):
        return await reader.readuntil(b"ended")


async def test_a_rotation_leaves_a_stream_and_is_seen_by_the_next_connection(
    authority: Authority, served: Issued
) -> None:
    release = asyncio.Event()
    async with running(authority, files(served), release=release) as bench:
        reader, writer = await bench.connect()
        writer.write(GET)
        async with asyncio.timeout(DEADLINE):
            await reader.readuntil(b"begun")
        assert await bench.subject() == "CN=first"

        authority.issue("second").copy_to(served)
        await until(lambda: bench.readings == [True, True])
        assert await bench.subject() == "CN=second"
        release.set()
        assert await responded(reader) == b"ended"
        writer.write(GET)  # and the old connection serves on
        assert (await responded(reader)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_bad_edit_leaves_the_last_good_certificate_and_says_so(
    authority: Authority, served: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(authority, files(served)) as bench:
        good = served.key.read_bytes()
        served.key.write_bytes(authority.issue("other").key.read_bytes())
        await until(lambda: bench.readings == [True, False])
        assert await bench.subject() == "CN=first"
        served.key.write_bytes(good)
        await until(lambda: bench.readings == [True, False, True])
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "the last valid certificate stays in force" in record.getMessage()
    assert str(served.key) in record.getMessage()


async def test_a_client_needs_a_certificate_of_the_authority_that_is_in_force(
    authority: Authority, served: Issued, tmp_path: Path
) -> None:
    clients, others = Authority("clients", tmp_path), Authority("others", tmp_path)
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(clients.path.read_bytes())
    mine, foreign = clients.issue("me"), others.issue("them")
    async with running(authority, files(served, trusted)) as bench:

        async def gets_in(issued: Issued | None) -> bool:
            reader, writer = await bench.connect(bench.client(issued))
            try:
                writer.write(GET)
                await responded(reader)  # TLS 1.3 says after the handshake that a certificate is missing
            except (OSError, asyncio.IncompleteReadError):
                return False
            finally:
                writer.close()
            return True

        assert [await gets_in(issued) for issued in (mine, None, foreign)] == [True, False, False]
        trusted.write_bytes(others.path.read_bytes())
        await until(lambda: len(bench.readings) == 2)
        assert [await gets_in(issued) for issued in (mine, None, foreign)] == [False, False, True]


async def test_a_handshake_that_does_not_end_is_given_up_in_time(authority: Authority, served: Issued) -> None:
    async with running(authority, files(served), ServerLimits(header_seconds=0.1)) as bench:
        for beginning in (b"", b"\x16\x03\x01\x02\x00\x01"):
            reader, writer = await asyncio.open_connection(HOST, bench.port)
            writer.write(beginning)
            async with asyncio.timeout(DEADLINE):
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()


async def test_many_half_open_handshakes_keep_nobody_out(
    authority: Authority, served: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_HANDSHAKES", 4)
    async with running(authority, files(served)) as bench:
        silent = [await asyncio.open_connection(HOST, bench.port) for _ in range(12)]
        reader, writer = await bench.connect()
        writer.write(GET)
        assert (await responded(reader)).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(DEADLINE):
            for first, _ in silent[:8]:  # the oldest have ended, within the time of the others
                with suppress(ConnectionError):
                    assert await first.read() == b""
        for _, other in (*silent, (reader, writer)):
            other.close()


async def test_a_drain_waits_for_no_handshake(authority: Authority, served: Issued) -> None:
    async with running(authority, files(served)) as bench:
        reader, writer = await asyncio.open_connection(HOST, bench.port)
        await bench.subject()  # whoever came before has been accepted
        async with asyncio.timeout(DEADLINE):
            await bench.server.drain()
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, bench.port)


async def test_old_versions_and_ciphers_without_forward_secrecy_are_not_taken(
    authority: Authority, served: Issued
) -> None:
    async with running(authority, files(served)) as bench:
        weak, fine = bench.client(), bench.client()
        weak.maximum_version = fine.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers("AES128-SHA256:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await bench.connect(weak)
        _, writer = await bench.connect(fine)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.close()
    assert files(served).context().minimum_version == ssl.TLSVersion.TLSv1_2


async def test_without_alpn_the_first_bytes_choose_the_protocol(authority: Authority, served: Issued) -> None:
    async with running(authority, files(served)) as bench:
        for sent, expected in ((GET, b"HTTP/1.1 "), (frames.PREFACE, None)):
            reader, writer = await bench.connect()
            writer.write(sent)
            async with asyncio.timeout(DEADLINE):
                response = await reader.readexactly(9)
            assert response == expected if expected else response[3] == frames.SETTINGS
            writer.close()


def test_files_that_cannot_be_used_are_named(authority: Authority, served: Issued, tmp_path: Path) -> None:
    key, empty = load_pem_private_key(served.key.read_bytes(), None), tmp_path / "empty"
    empty.write_bytes(b"")
    locked = tmp_path / "locked.key"
    locked.write_bytes(encoded(key, b"secret"))  # type: ignore[arg-type]
    given = files(served)
    wrong = {
        "missing cannot be read: No such file": replace(given, certificate=tmp_path / "missing"),
        "locked.key are no certificate and its plain key": replace(given, key=locked),
        "are no certificate and its plain key: KEY_VALUES_MISMATCH": replace(given, key=authority.issue("x").key),
        "empty and": replace(given, certificate=empty),
        "empty has no certificates of authorities": replace(given, client_ca=empty),
    }
    for sentence, bad in wrong.items():
        with pytest.raises(TlsError, match=sentence):
            bad.context()
