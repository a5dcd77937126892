"""The upstream client against real sockets that send exact bytes."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.http.client import Client, Limits, Timeouts, Upload
from switchyard.http.client.errors import (
    ConnectError,
    ConnectionClosedError,
    RemoteProtocolError,
    ResponseTooLargeError,
    UpstreamTimeoutError,
)
from tests.switchyard.http.conftest import Peer, client_of, upstream

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n"


async def echo_ok(peer: Peer) -> None:
    while await peer.request():
        await peer.answer()


async def get(client: Client, url: str) -> bytes:
    response = await client.request(b"GET", url, [])
    try:
        return await response.read()
    finally:
        response.close()


async def test_a_request_carries_its_headers_and_body_exactly(client: Client) -> None:
    async with upstream(echo_ok) as server:
        response = await client.request(b"POST", server.url + "/a?b=c", [(b"x-one", b"1")], b"hello")
        assert (response.status, await response.read()) == (200, b"ok")
        host = server.url.removeprefix("http://").encode()
        expected = b"POST /a?b=c HTTP/1.1\r\nhost: " + host + b"\r\nx-one: 1\r\ncontent-length: 5\r\n\r\nhello"
        assert server.peers[0].requests == [expected]


async def test_requests_one_after_the_other_share_a_connection(client: Client) -> None:
    async with upstream(echo_ok) as server:
        for _ in range(5):
            assert await get(client, server.url + "/") == b"ok"
        assert len(server.peers) == 1


async def test_requests_at_once_get_a_connection_each(client: Client) -> None:
    async with upstream(echo_ok) as server:
        assert await asyncio.gather(*(get(client, server.url + "/") for _ in range(8))) == [b"ok"] * 8
        assert len(server.peers) == 8


async def test_a_pooled_connection_that_was_closed_is_replaced_without_an_error(client: Client) -> None:
    async def one_each(peer: Peer) -> None:
        await peer.request()
        await peer.answer()

    async with upstream(one_each) as server:
        for _ in range(4):
            assert await get(client, server.url + "/") == b"ok"


async def test_a_reused_connection_that_closes_on_the_request_is_retried_once_on_a_fresh_one(client: Client) -> None:
    async def second_request_dies(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.request()

    async with upstream(second_request_dies) as server:
        assert await get(client, server.url + "/") == b"ok"
        response = await client.request(b"POST", server.url + "/", [], b"body")
        assert await response.read() == b"ok"
        assert [len(peer.requests) for peer in server.peers] == [2, 1]


async def test_when_connections_are_closed_requests_in_flight_fail_and_later_ones_open_others(client: Client) -> None:
    arrived = asyncio.Event()

    async def respond_to_the_second(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        await (peer.closed() if len(server.peers) == 1 else peer.answer())

    async with upstream(respond_to_the_second) as server:
        waiting = asyncio.ensure_future(get(client, server.url + "/"))
        await asyncio.wait_for(arrived.wait(), 5)
        client.close_connections()
        with pytest.raises(ConnectionClosedError):
            await waiting
        assert await get(client, server.url + "/") == b"ok"


async def test_a_fresh_connection_that_closes_at_once_is_a_retryable_error(client: Client) -> None:
    async def mute(peer: Peer) -> None:
        await peer.request()

    async with upstream(mute) as server:
        with pytest.raises(ConnectionClosedError) as caught:
            await get(client, server.url + "/")
        assert caught.value.retryable
        assert len(server.peers) == 1


async def test_a_response_that_ends_early_is_not_retryable(client: Client) -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")

    async with upstream(half) as server:
        response = await client.request(b"GET", server.url + "/", [])
        assert await response.chunk() == b"half"
        with pytest.raises(ConnectionClosedError) as caught:
            await response.read()
        assert not caught.value.retryable


async def test_nobody_listening_is_a_connect_error(client: Client) -> None:
    async with upstream(echo_ok) as server:
        url = server.url
    with pytest.raises(ConnectError, match="cannot connect to http://127") as caught:
        await get(client, url + "/")
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("response_bytes", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
        (CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\ntrailer: t\r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", b""),
        (INTERIM + b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!", b"!"),
    ],
    ids=["length", "chunked", "until-close", "http-1.0", "204", "304", "after-interim"],
)
async def test_every_kind_of_body_is_read(client: Client, response_bytes: bytes, body: bytes) -> None:
    async def send(peer: Peer) -> None:
        await peer.request()
        await peer.send(response_bytes)

    async with upstream(send) as server:
        response = await client.request(b"GET", server.url + "/", [])
        assert await response.read() == body
        assert not {b"link", b"trailer"} & {name for name, _ in response.headers}


async def test_the_response_to_head_has_no_body_and_frees_its_connection(client: Client) -> None:
    async def heads(peer: Peer) -> None:
        while await peer.request():
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")

    async with upstream(heads) as server:
        for _ in range(3):
            response = await client.request(b"HEAD", server.url + "/", [])
            assert await response.read() == b""
            assert response.header(b"content-length") == b"1000"
        assert len(server.peers) == 1


RESPONSE = (
    b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"7\r\ndata: x\r\n1\r\n\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, len(RESPONSE) - 1)))
def test_any_split_of_the_bytes_yields_the_same_response(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(RESPONSE)]
    chunks = [RESPONSE[a:b] for a, b in pairwise(edges)]

    async def send(peer: Peer) -> None:
        await peer.request()
        for chunk in chunks:
            await peer.send(chunk)
            await asyncio.sleep(0)

    async def main() -> tuple[int, bytes, bytes | None]:
        async with client_of() as client, upstream(send) as server:
            response = await client.request(b"GET", server.url + "/", [])
            body = b"".join([chunk async for chunk in response])
            response.close()
            return response.status, body, response.header(b"content-type")

    assert asyncio.run(main()) == (200, b"data: x\n0123456789abcdef", b"text/plain")


@pytest.mark.parametrize(
    "response_bytes",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=["not-http", "length-and-chunked", "two-lengths", "upgrade"],
)
async def test_a_protocol_violation_is_a_remote_protocol_error(client: Client, response_bytes: bytes) -> None:
    async def send(peer: Peer) -> None:
        await peer.request()
        await peer.send(response_bytes)
        await peer.closed()

    async with upstream(send) as server:
        with pytest.raises(RemoteProtocolError):
            await get(client, server.url + "/")


async def test_bytes_after_a_response_do_not_reach_the_next_request(client: Client) -> None:
    async def smuggle(peer: Peer) -> None:
        while await peer.request():
            await peer.send(
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad"
            )

    async with upstream(smuggle) as server:
        assert [await get(client, server.url + "/") for _ in range(3)] == [b"ok"] * 3
        assert len(server.peers) == 3


@pytest.mark.parametrize("head", [b"x-a: " + b"a" * 900, b"x-a: 1\r\n" * 200])
@pytest.mark.parametrize("ended", [True, False])
async def test_headers_over_their_limit_are_too_large(head: bytes, ended: bool) -> None:
    async def send(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + head + (b"\r\n\r\n" if ended else b""))
        await peer.closed()

    async with upstream(send) as server, client_of(Limits(header_bytes=800)) as client:
        with pytest.raises(ResponseTooLargeError, match="headers"):
            await get(client, server.url + "/")


async def test_a_body_over_the_limit_of_read_is_too_large_and_closes_the_socket() -> None:
    gone = asyncio.Event()

    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        try:
            while True:
                await peer.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        finally:
            gone.set()

    async with upstream(endless) as server, client_of(Limits(response_bytes=100_000)) as client:
        with pytest.raises(ResponseTooLargeError, match="100000"):
            await get(client, server.url + "/")
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize(
    ("sent", "timeouts", "message"),
    [
        (b"", Timeouts(first_byte=0.05), "did not respond within 0.05 s"),
        (CHUNKED, Timeouts(idle=0.05), "no data for 0.05 s"),
        (CHUNKED, Timeouts(total=0.05), "finish its response within 0.05 s"),
    ],
    ids=["first-byte", "idle", "total"],
)
async def test_every_timeout_is_kept_and_closes_the_socket(
    client: Client, sent: bytes, timeouts: Timeouts, message: str
) -> None:
    closed = asyncio.Event()

    async def stall(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent)
        await peer.closed()
        closed.set()

    async with upstream(stall) as server:
        with pytest.raises(UpstreamTimeoutError, match=message) as caught:
            await (await client.request(b"GET", server.url + "/", [], timeouts=timeouts)).read()
        assert not caught.value.retryable
        await asyncio.wait_for(closed.wait(), 5)


async def test_a_stream_that_keeps_coming_outlives_its_idle_timeout(client: Client) -> None:
    async def drip(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        for _ in range(8):
            await asyncio.sleep(0.02)
            await peer.send(b"1\r\nx\r\n")
        await peer.send(b"0\r\n\r\n")

    async with upstream(drip) as server:
        response = await client.request(b"GET", server.url + "/", [], timeouts=Timeouts(idle=0.1))
        assert await response.read() == b"x" * 8


async def test_a_cancelled_request_closes_its_socket(client: Client) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def hold(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        await peer.closed()
        closed.set()

    async with upstream(hold) as server:
        task = asyncio.create_task(get(client, server.url + "/"))
        await asyncio.wait_for(arrived.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 5)


async def test_closing_an_unfinished_response_closes_its_socket_and_a_finished_one_keeps_it(client: Client) -> None:
    closed = asyncio.Event()

    async def first_whole_then_endless(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.request()
        await peer.send(CHUNKED + b"1\r\nx\r\n")
        await peer.closed()
        closed.set()

    async with upstream(first_whole_then_endless) as server:
        first = await client.request(b"GET", server.url + "/", [])
        assert await first.read() == b"ok"
        first.close()
        second = await client.request(b"GET", server.url + "/", [])
        assert await second.chunk() == b"x"
        assert len(server.peers) == 1
        second.close()
        await asyncio.wait_for(closed.wait(), 5)


async def test_a_consumer_that_lags_stops_the_sender() -> None:
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(CHUNKED)
        for _ in range(1024):
            await peer.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            sent += 0x10000
        await peer.send(b"0\r\n\r\n")

    async with upstream(flood) as server, client_of(Limits(buffer_bytes=128 * 1024)) as client:
        response = await client.request(b"GET", server.url + "/", [])
        await asyncio.sleep(0.2)  # the time in which an unbounded client would take all 64 MiB
        assert sent < 24 * 1024 * 1024
        assert sum([len(chunk) async for chunk in response]) == 64 * 1024 * 1024


async def test_a_large_body_waits_for_an_upstream_that_reads_slowly(client: Client) -> None:
    body = bytes(range(256)) * 4 * 8192
    got = bytearray()

    async def slow(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        while len(got) < len(body):
            got.extend(await peer.reader.read(1 << 20))
        await peer.answer()

    async with upstream(slow) as server:
        response = await client.request(b"POST", server.url + "/", [], body)
        assert await response.read() == b"ok"
        assert bytes(got) == body


async def test_an_upload_is_sent_while_it_arrives(client: Client) -> None:
    arrived = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.wait_for(arrived.wait(), 5)  # the upstream has the first chunk before there is a second
        yield b"second"

    async def read_slowly(peer: Peer) -> None:
        await peer.reader.readuntil(b"first")
        arrived.set()
        await peer.reader.readexactly(len(b"second"))
        await peer.answer()

    async with upstream(read_slowly) as server:
        response = await client.request(b"POST", server.url + "/", [], Upload(11, chunks()))
        assert await response.read() == b"ok"


async def test_uploads_one_after_the_other_leave_one_connection_in_the_pool(client: Client) -> None:
    open_now = 0

    async def script(peer: Peer) -> None:
        nonlocal open_now
        open_now += 1
        await echo_ok(peer)
        open_now -= 1

    async def chunks() -> AsyncIterator[bytes]:
        yield b"hello"

    async with upstream(script) as server:
        for _ in range(5):
            response = await client.request(b"POST", server.url + "/", [], Upload(5, chunks()))
            assert await response.read() == b"ok"
        assert await get(client, server.url + "/") == b"ok"
        async with asyncio.timeout(5):
            while open_now > 1:
                await asyncio.sleep(0)
        assert open_now == 1


async def test_an_upload_whose_source_fails_closes_its_socket(client: Client) -> None:
    closed = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        raise ValueError("the client disconnected")

    async def until_closed(peer: Peer) -> None:
        await peer.reader.read()
        closed.set()

    async with upstream(until_closed) as server:
        with pytest.raises(ValueError, match="disconnected"):
            await client.request(b"POST", server.url + "/", [], Upload(11, chunks()))
        await asyncio.wait_for(closed.wait(), 5)


async def test_an_upstream_that_rejects_a_large_body_early_gets_its_response_read(client: Client) -> None:
    async def reject(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(b"too big", 413)
        await peer.closed()

    async with upstream(reject) as server:
        response = await client.request(b"POST", server.url + "/", [], b"x" * (32 << 20))
        assert (response.status, await response.read()) == (413, b"too big")


async def test_idle_connections_are_closed_after_their_time() -> None:
    closed = asyncio.Event()

    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.closed()
        closed.set()

    async with upstream(once) as server, client_of(Limits(keepalive_expiry=0.05)) as client:
        assert await get(client, server.url + "/") == b"ok"
        await asyncio.wait_for(closed.wait(), 5)


@pytest.mark.parametrize("url", ["ftp://a/", "http:///x", "http://u@h/", "http://h/a b", "http://h/\x7f"])
async def test_a_url_that_cannot_be_sent_is_rejected(client: Client, url: str) -> None:
    with pytest.raises(ValueError, match=r"URL of a host|percent-encoded"):
        await client.request(b"GET", url, [])


@pytest.mark.parametrize("header", [(b"a", b"b\r\nc: d"), (b"a\nb", b"c"), (b"a", b"\0")])
async def test_a_header_that_would_split_the_request_is_rejected(client: Client, header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="line break"):
        await client.request(b"GET", "http://127.0.0.1:1/", [header])


async def test_https_checks_the_certificate_and_then_works(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate, key)
    async with upstream(echo_ok, ssl=server_context) as server:
        trusting = Client(tls=ssl.create_default_context(cafile=str(certificate)))
        assert await get(trusting, server.url + "/") == b"ok"
        assert await get(trusting, server.url + "/") == b"ok"
        assert len(server.peers) == 1
        await trusting.aclose()
        async with client_of() as doubting:
            with pytest.raises(ConnectError, match="certificate verify failed"):
                await get(doubting, server.url + "/")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, made by the openssl command."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
