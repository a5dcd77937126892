"""Clients that know of each request what became of it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Fate = Literal["complete", "failed", "cut"]
_AGAIN_SECONDS = 0.02
_BROKEN = (OSError, asyncio.IncompleteReadError)


class Connection:
    """One connection to a port of this machine, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, wire: bytes) -> tuple[int, bytes, bytes]:
        """Return the status, the headers and the body of a response.

        Raises:
            ConnectionRefusedError: nobody listens.
            OSError, IncompleteReadError: the connection ended before the response did.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(wire)
            headers = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await _body(reader, headers)
        except BaseException:
            self.close()
            raise
        if b"\r\nconnection: close" in headers:
            self.close()
        return int(headers[9:12]), headers, body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _body(reader: asyncio.StreamReader, headers: bytes) -> bytes:
    at = headers.find(b"content-length: ")
    if at >= 0:
        return await reader.readexactly(int(headers[at + 16 : headers.index(b"\r\n", at)]))
    body = b""
    while size := int(await reader.readuntil(b"\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


def chat(
    key: str, model: str, *, tokens: int = 8, request_id: str = "", stream: bool = False, user: str = "fixed"
) -> bytes:
    """Return a request for a chat in the bytes that go over the wire."""
    messages = [{"role": "user", "content": "How many apples?"}]
    fields = {"model": model, "messages": messages, "max_tokens": tokens, "stream": stream, "user": user}
    body = json.dumps(fields).encode()
    headers = [f"content-length: {len(body)}", "content-type: application/json"]
    headers += [f"authorization: Bearer {key}"] if key else []
    headers += [f"x-request-id: {request_id}"] if request_id else []
    return "\r\n".join(("POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", *headers, "", "")).encode() + body


@dataclass
class Seen:
    """What clients saw of each request, by its id; ``statuses`` counts whole responses."""

    fates: dict[str, Fate] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)

    def of(self, fate: Fate) -> set[str]:
        return {request_id for request_id, one in self.fates.items() if one == fate}


class Client:
    """Asks again as soon as a response has ended, or the connection, until it is told to stop."""

    def __init__(self, name: str, port: int, wire: Callable[[str, int], bytes], seen: Seen) -> None:
        self._name, self._wire, self._seen = name, wire, seen
        self._connection = Connection(port)
        self.complete = 0
        self.stopped = False

    async def run(self) -> None:
        number = 0
        while not self.stopped:
            number += 1
            request_id = f"{self._name}-{number}"
            fate = await self._fate(request_id, self._wire(request_id, number))
            if fate is not None:
                self._seen.fates[request_id] = fate
            if fate == "complete":
                self.complete += 1
            else:
                await asyncio.sleep(_AGAIN_SECONDS)
        self._connection.close()

    async def _fate(self, request_id: str, wire: bytes) -> Fate | None:
        """Send one request; None if nobody was there to take it."""
        try:
            status, _, body = await self._connection.ask(wire)
        except ConnectionRefusedError:
            return None
        except _BROKEN:
            return "cut"
        self._seen.statuses[status] = self._seen.statuses.get(status, 0) + 1
        return "complete" if status == 200 and b'"error"' not in body else "failed"


async def until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait until ``condition`` holds.

    Raises:
        TimeoutError: it never did.
    """
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - of what the processes do, nothing tells
                await asyncio.sleep(0.01)
    except TimeoutError as err:
        raise TimeoutError(f"not within {seconds:.0f} s: {what}") from err
