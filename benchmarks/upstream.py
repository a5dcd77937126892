"""A model that costs nothing: answers OpenAI and V2 requests from memory, and tells when a client left it.

``python -m benchmarks.upstream PORT``. The model's name chooses: ``m`` answers at once, ``m10x64`` streams 64 chunks
10 ms apart, ``m5000`` waits 5 s first. ``GET /stats`` counts requests and the clients that hung up, with when.
"""

import asyncio
import json
import re
import sys
import time
from typing import ClassVar

import httptools
import uvloop

_ANSWER = json.dumps(
    {"id": "1", "object": "chat.completion", "choices": [{"message": {"content": "x" * 480}}]}
).encode()
_CHUNK = b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"token"}}]}\n\n'
_END = b"data: [DONE]\n\n"
_MODEL = re.compile(rb'"model": ?"m(\d*)(?:x(\d+))?"')


class Upstream(asyncio.Protocol):
    """One connection."""

    stats: ClassVar[dict[str, float]] = {"requests": 0, "left": 0, "left_at": 0.0}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpRequestParser(self)
        self._work: asyncio.Task[None] | None = None
        self._url = b""
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url == b"/stats":
            self._plain(json.dumps(self.stats).encode())
            return
        self.stats["requests"] += 1
        found = _MODEL.search(self._body)
        delay = int(found.group(1) or 0) / 1000 if found else 0.0
        if b'"stream": true' in self._body or b'"stream":true' in self._body:
            chunks = int(found.group(2) or 64) if found else 64
            self._work = asyncio.ensure_future(self._stream(chunks, delay))
        elif delay:
            self._work = asyncio.ensure_future(self._late(delay))
        else:
            self._plain(_ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work is not None:
            self._work.cancel()
            self.stats["left"] += 1
            self.stats["left_at"] = time.time()

    def _plain(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)

    async def _late(self, delay: float) -> None:
        await asyncio.sleep(delay)
        self._work = None
        self._plain(_ANSWER)

    async def _stream(self, chunks: int, delay: float) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self._transport.write(head)
        for _ in range(chunks):
            if delay:
                await asyncio.sleep(delay)
            self._transport.write(b"%x\r\n%b\r\n" % (len(_CHUNK), _CHUNK))
        self._work = None
        self._transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(_END), _END))


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
