"""Which requests become a WebSocket, and what is said to all others."""

import asyncio

import pytest
import websockets

from tests.switchyard.http.server.websocket.sockets import ACCEPTED, handshake, serving_sockets


async def test_the_handshake_of_the_standard_is_accepted_without_extensions() -> None:
    async with serving_sockets() as running:
        wire = await running.raw()
        wire.send(handshake(sec_websocket_extensions=b"permessage-deflate; client_max_window_bits"))
        head = (await wire.reader.readuntil(b"\r\n\r\n")).lower()

        assert head.startswith(b"http/1.1 101 ")
        for line in (b"upgrade: websocket", b"connection: upgrade", b"x-request-id: 1"):
            assert b"\r\n%b\r\n" % line in head
        assert b"sec-websocket-accept: " + ACCEPTED.lower() in head
        assert b"extensions" not in head
        assert b"content-length" not in head


@pytest.mark.parametrize(
    "changed",
    [
        {"upgrade": b"h2c"},
        {"sec_websocket_version": b"8"},
        {"sec_websocket_version": b""},
        {"sec_websocket_key": b""},
        {"sec_websocket_key": b"c2hvcnQ="},
        {"connection": b"keep-alive"},
    ],
)
async def test_what_is_no_handshake_is_a_request_like_any_other(changed: dict[str, bytes]) -> None:
    async with serving_sockets() as running:
        wire = await running.raw()
        for _ in range(2):  # the connection goes on
            wire.send(handshake(**changed))
            head = await wire.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await wire.reader.readexactly(12) == b"GET /socket "


async def test_a_handshake_at_another_path_is_a_request_like_any_other() -> None:
    async with serving_sockets() as running:
        wire = await running.raw()
        wire.send(handshake().replace(b"/socket", b"/other"))
        assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("parts", [1, 3, 400])
async def test_a_body_beside_an_upgrade_is_read_however_it_arrives(parts: int) -> None:
    body = b"b" * 400
    request = handshake(content_length=b"400").replace(b"GET ", b"POST ") + body
    async with serving_sockets() as running:
        wire = await running.raw()
        step = len(request) // parts
        for at in range(0, len(request), step):
            wire.send(request[at : at + step])
            await asyncio.sleep(0)
        head = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert (await asyncio.wait_for(wire.reader.readexactly(413), 5)) == b"POST /socket " + body


async def test_requests_before_a_handshake_get_their_responses_first_and_frames_behind_it_are_read() -> None:
    async with serving_sockets() as running:
        wire = await running.raw()
        wire.send(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + handshake())
        wire.say("early", "x" * 100_000)
        assert b"GET /first " in await wire.reader.readuntil(b"GET /first ")
        assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await wire.text() == "early"
        assert await wire.text() == "x" * 100_000


async def test_the_websockets_library_talks_to_it() -> None:
    async with (
        serving_sockets() as running,
        websockets.connect(f"ws://127.0.0.1:{running.port}/socket") as client,
    ):
        await client.send("hällo")
        assert await client.recv() == "hällo"
        await client.send(["in ", "parts"])
        assert await client.recv() == "in parts"
        await (await client.ping())
        await client.close(4321, "enough")
        assert client.close_code == 4321
