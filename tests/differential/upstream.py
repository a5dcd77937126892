"""The upstream behind every proxy: raw sockets, and a reader so strict that nothing can be read in two ways.

What a proxy sends on must be plain HTTP/1.1; whatever is not is recorded as such, and is a finding by itself.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

HOST = "127.0.0.1"
_CASE = re.compile(rb"c[0-9]{5}x")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIRST = re.compile(rb"(%b) ([^\x00-\x20\x7f]+) HTTP/1\.[01]" % _TOKEN)
_HEADER = re.compile(rb"(%b):[ \t]*([^\x00\r\n]*?)[ \t]*" % _TOKEN)
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})(?:;[^\x00\r\n]*)?")
_LONGEST = 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """One whole request as it arrived; an unreadable one has no method and its bytes for a body."""

    method: bytes
    target: bytes
    body: bytes

    def __str__(self) -> str:
        return f"{self.method.decode('latin-1') or '?'} {self.target.decode('latin-1')} {self.body!r}"


class _UnreadableError(Exception):
    """These bytes are no plain request."""


class Recorder:
    """Requests by the case that is named in their targets, in the order in which they came."""

    def __init__(self) -> None:
        self._seen: defaultdict[bytes, list[Seen]] = defaultdict(list)
        self.unnamed: list[Seen] = []

    def take(self, case: bytes) -> tuple[Seen, ...]:
        """What was recorded for a case, which is forgotten here."""
        return tuple(self._seen.pop(case, ()))

    def add(self, raw: bytes, seen: Seen) -> None:
        named = _CASE.search(raw)
        if named is None:
            self.unnamed.append(seen)
        else:
            self._seen[named[0]].append(seen)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Records what comes on one connection and responds to each, until something cannot be read."""
        try:
            while await self._respond(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a request that is not whole is none
        finally:
            writer.close()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        raw = await reader.readuntil(b"\r\n\r\n")
        try:
            method, target, headers = _read_headers(raw)
            if headers.get(b"expect", b"").lower() == b"100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await _read_body(reader, headers)
        except _UnreadableError as err:
            self.add(raw, Seen(b"", str(err).encode(), raw))
            return False
        self.add(raw, Seen(method, target, body))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + (b"" if method == b"HEAD" else b"ok"))
        return True


def _read_headers(raw: bytes) -> tuple[bytes, bytes, dict[bytes, bytes]]:
    first, *lines = raw[:-4].split(b"\r\n")
    request = _FIRST.fullmatch(first)
    if request is None:
        raise _UnreadableError("request line")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise _UnreadableError("header")
        name = header[1].lower()
        if name in headers and name in (b"content-length", b"transfer-encoding", b"host"):
            raise _UnreadableError(f"{name.decode()} twice")
        headers[name] = header[2]
    return request[1], request[2], headers


async def _read_body(reader: asyncio.StreamReader, headers: dict[bytes, bytes]) -> bytes:
    coding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if coding is not None and length is not None:
        raise _UnreadableError("a length and a coding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise _UnreadableError("coding")
        return await _read_chunks(reader)
    if length is None:
        return b""
    if not length.isdigit() or int(length) > _LONGEST:
        raise _UnreadableError("length")
    return await reader.readexactly(int(length))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = _SIZE.fullmatch(line[:-2])
        if size is None:
            raise _UnreadableError("chunk")
        if not int(size[1], 16):
            break
        body += await reader.readexactly(int(size[1], 16))
        if await reader.readexactly(2) != b"\r\n":
            raise _UnreadableError("chunk")
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        if _HEADER.fullmatch(line[:-2]) is None:
            raise _UnreadableError("trailer")
    return body


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[Recorder, int]]:
    """A recorder on a free port."""
    recorder = Recorder()
    listening = await asyncio.start_server(recorder.serve, HOST, 0, limit=_LONGEST)
    try:
        yield recorder, listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
