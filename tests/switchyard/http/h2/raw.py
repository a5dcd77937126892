"""A client that sends what it is told, byte by byte, and what it hears."""

import asyncio
from contextlib import suppress

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literals

HOST = "127.0.0.1"
DEADLINE = 20

Frame = tuple[int, int, bytes]


GREETING = frames.PREFACE + frames.settings({})


def request_bytes(fields: list[Field], *bodies: bytes, number: int = 1, ends: bool = True) -> bytes:
    """A request on the stream ``number``: its head, and a frame for each body."""
    last = frames.END_STREAM if ends else 0
    block = literals(fields)
    sent = frames.frame_header(len(block), frames.HEADERS, frames.END_HEADERS | (0 if bodies else last), number) + block
    for left, body in zip(range(len(bodies) - 1, -1, -1), bodies, strict=True):
        sent += frames.frame_header(len(body), frames.DATA, 0 if left else last, number) + body
    return sent


class Talk:
    """A connection on which each side waits for the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = b""
        self._taken = 0  # of the frames heard

    @classmethod
    async def to(cls, port: int, fields: list[Field], *, path: bytes | None = None, ends: bool = True) -> "Talk":
        """Opens a connection and asks on its first stream."""
        made = cls(*await asyncio.open_connection(HOST, port))
        made._writer.write(GREETING)
        if path is not None:
            fields = [(b":path", path), *(field for field in fields if field[0] != b":path")]
        made._writer.write(request_bytes(fields, ends=ends))
        return made

    def asks(self, number: int, fields: list[Field], *bodies: bytes, ends: bool = True) -> None:
        self._writer.write(request_bytes(fields, *bodies, number=number, ends=ends))

    def sends(self, number: int, body: bytes, *, ends: bool = True) -> None:
        flags = frames.END_STREAM if ends else 0
        self._writer.write(frames.frame_header(len(body), frames.DATA, flags, number) + body)

    def ends_with_fields(self, number: int, fields: list[Field]) -> None:
        """Trailers."""
        block, flags = literals(fields), frames.END_STREAM | frames.END_HEADERS
        self._writer.write(frames.frame_header(len(block), frames.HEADERS, flags, number) + block)

    def widens(self, size: int) -> None:
        """Takes ``size`` bytes more on the connection, on each stream only as many as before."""
        self._writer.write(frames.uint32_frame(frames.WINDOW_UPDATE, 0, size))

    def widens_stream(self, number: int, size: int) -> None:
        self._writer.write(frames.uint32_frame(frames.WINDOW_UPDATE, number, size))

    def pings(self) -> None:
        self._writer.write(frames.frame_header(8, frames.PING, 0, 0) + bytes(8))

    def gives_up(self, number: int) -> None:
        self._writer.write(frames.uint32_frame(frames.RST_STREAM, number, frames.CANCEL))

    async def hears(self, kind: int, stream: int = 1) -> bytes:
        """The payload of the next frame of ``kind`` on ``stream``; those before it are passed over."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for at, (found, number, payload) in enumerate(heard(self._answer)[self._taken :], self._taken):
                    if (found, number) == (kind, stream):
                        self._taken = at + 1
                        return payload
                chunk = await self._reader.read(65536)
                assert chunk, f"the connection ended after {heard(self._answer)[self._taken :]}"
                self._answer += chunk

    async def disconnects(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


async def converse(port: int, sent: bytes, *, until: int | None = None) -> bytes:
    """What is answered until the connection is closed, or a frame of the kind ``until`` has come."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sent)
    answer = b""
    with suppress(ConnectionError):  # what we sent too much of was never read
        async with asyncio.timeout(DEADLINE):
            while chunk := await reader.read(65536):
                answer += chunk
                if until in [kind for kind, _, _ in heard(answer)]:
                    break
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return answer


def heard(answer: bytes) -> list[Frame]:
    """The kind, the stream and the payload of each whole frame."""
    found, at = [], 0
    while at + frames.FRAME_HEADER_BYTES <= len(answer):
        head, _, number = frames.FRAME_HEADER.unpack_from(answer, at)
        length, kind = head >> 8, head & 0xFF
        at += frames.FRAME_HEADER_BYTES
        if at + length <= len(answer):
            found.append((kind, number, answer[at : at + length]))
        at += length
    return found


def goodbye(answer: bytes) -> int:
    """The code of the GOAWAY in an answer."""
    payload = next(payload for kind, _, payload in heard(answer) if kind == frames.GOAWAY)
    return int.from_bytes(payload[4:8], "big")
