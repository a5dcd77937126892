"""Frames: what is read as which message, and what each violation of RFC 6455 is closed with."""

import struct

import pytest
from wsproto.events import CloseConnection, Ping, Pong

from switchyard.http.server.websocket import codes
from tests.switchyard.http.server.websocket.sockets import serving_sockets

MASK = b"\1\2\3\4"


def frame(first: int, payload: bytes = b"", *, masked: bool = True, length: bytes | None = None) -> bytes:
    """A frame by its first byte (FIN, RSV and opcode); ``length`` replaces the bytes that say it."""
    if length is None:
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
    if not masked:
        return bytes([first]) + length + payload
    covered = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))
    return bytes([first, length[0] | 0x80]) + length[1:] + MASK + covered


VIOLATIONS = {
    "unmasked": (frame(0x81, b"a", masked=False), codes.PROTOCOL_ERROR),
    "a reserved bit": (frame(0xC1, b"a"), codes.PROTOCOL_ERROR),
    "all reserved bits": (frame(0xF1, b"a"), codes.PROTOCOL_ERROR),
    "an unknown opcode": (frame(0x83, b"a"), codes.PROTOCOL_ERROR),
    "an unknown control opcode": (frame(0x8B), codes.PROTOCOL_ERROR),
    "a ping in parts": (frame(0x09, b"a"), codes.PROTOCOL_ERROR),
    "a close in parts": (frame(0x08, b"\x03\xe8"), codes.PROTOCOL_ERROR),
    "a ping of 126 bytes": (frame(0x89, b"a" * 126), codes.PROTOCOL_ERROR),
    "a continuation of nothing": (frame(0x80, b"a"), codes.PROTOCOL_ERROR),
    "a message within another": (frame(0x01, b"a") + frame(0x81, b"b"), codes.PROTOCOL_ERROR),
    "a length of two bytes that fits one": (frame(0x81, b"a", length=b"\x7e\0\x01"), codes.PROTOCOL_ERROR),
    "a length of eight bytes that fits two": (frame(0x81, b"a", length=b"\x7f" + bytes(7) + b"\x01"), 1002),
    "a length with the highest bit": (frame(0x81, b"a", length=b"\x7f\x80" + bytes(7)), codes.PROTOCOL_ERROR),
    "bytes": (frame(0x82, b"a"), codes.UNSUPPORTED_DATA),
    "text that is no UTF-8": (frame(0x81, b"\xff"), codes.INVALID_TEXT),
    "text that ends within a character": (frame(0x81, b"\xe2\x82"), codes.INVALID_TEXT),
    "a surrogate": (frame(0x81, b"\xed\xa0\x80"), codes.INVALID_TEXT),
    "a close of one byte": (frame(0x88, b"\x03"), codes.PROTOCOL_ERROR),
    "a close with 999": (frame(0x88, struct.pack("!H", 999)), codes.PROTOCOL_ERROR),
    "a close with 1005": (frame(0x88, struct.pack("!H", 1005)), codes.PROTOCOL_ERROR),
    "a close with 1006": (frame(0x88, struct.pack("!H", 1006)), codes.PROTOCOL_ERROR),
    "a close with 2999": (frame(0x88, struct.pack("!H", 2999)), codes.PROTOCOL_ERROR),
    "a close with 5000": (frame(0x88, struct.pack("!H", 5000)), codes.PROTOCOL_ERROR),
    "a close whose reason is no UTF-8": (frame(0x88, b"\x03\xe8\xff"), codes.INVALID_TEXT),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", codes.PROTOCOL_ERROR),
}


@pytest.mark.parametrize(("data", "code"), VIOLATIONS.values(), ids=VIOLATIONS)
async def test_a_violation_is_closed_with_its_code_and_nothing_behind_it_is_read(data: bytes, code: int) -> None:
    async with serving_sockets() as running:
        wire = await running.open()
        wire.say("before")
        assert await wire.text() == "before"
        wire.send(data + frame(0x81, b"behind"))
        closed = await wire.event()
        assert isinstance(closed, CloseConnection)
        assert closed.code == code
        assert closed.reason or code == 1002
        with pytest.raises(EOFError):
            await wire.event()


@pytest.mark.parametrize(
    "data",
    [
        frame(0x81, b"abc"),
        frame(0x01, b"a") + frame(0x00, b"b") + frame(0x80, b"c"),
        frame(0x01, b"") + frame(0x00, b"abc") + frame(0x80, b""),
        frame(0x01, b"ab") + frame(0x89, b"ping") + frame(0x8A) + frame(0x80, b"c"),
    ],
    ids=["whole", "parts", "empty parts", "control frames between"],
)
@pytest.mark.parametrize("step", [1, 2, 1000])
async def test_a_message_is_the_same_however_it_comes(data: bytes, step: int) -> None:
    async with serving_sockets() as running:
        wire = await running.open()
        for at in range(0, len(data), step):
            wire.send(data[at : at + step])
            await wire.writer.drain()
        if b"\x89" in data:
            assert await wire.event() == Pong(payload=b"ping")
        assert await wire.text() == "abc"


async def test_characters_may_be_split_between_frames() -> None:
    text = "žluťoučký 🐎".encode()
    async with serving_sockets() as running:
        wire = await running.open()
        wire.send(frame(0x01, text[:1]) + b"".join(frame(0x00, text[at : at + 1]) for at in range(1, len(text))))
        wire.send(frame(0x80))
        assert (await wire.text()).encode() == text


async def test_a_close_is_answered_with_its_own_code() -> None:
    async with serving_sockets() as running:
        for payload, code in ((b"", 1005), (b"\x03\xe8", 1000), (b"\x03\xe9bye", 1001), (b"\x10\x00", 4096)):
            wire = await running.open()
            wire.send(frame(0x88, payload) + frame(0x81, b"behind"))
            closed = await wire.event()
            assert isinstance(closed, CloseConnection)
            assert closed.code == code
            with pytest.raises(EOFError):
                await wire.event()


async def test_a_ping_gets_its_own_bytes_back() -> None:
    async with serving_sockets() as running:
        wire = await running.open()
        wire.send(wire.frames.send(Ping(payload=b"\0\xff" * 62)))
        assert await wire.event() == Pong(payload=b"\0\xff" * 62)
