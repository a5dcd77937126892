"""``python -m benchmarks.fairness.model PORT PLACES``: a model with so many places, and a line before them.

What Knative's queue-proxy and an engine do with more calls than they take at a time: first in, first out. The model's
name says how many milliseconds a response takes: ``m200``, give or take half of it.
"""

import asyncio
import json
import random
import re
import sys

import httptools
import uvloop

_ANSWER = json.dumps({"id": "1", "object": "chat.completion", "choices": [{"message": {"content": "x"}}]}).encode()
_RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_ANSWER),
    _ANSWER,
)
_MODEL = re.compile(rb'"model": ?"m(\d+)"')


class Model(asyncio.Protocol):
    """One connection."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._body = b""
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        found = _MODEL.search(self._body)
        milliseconds = int(found.group(1)) if found else 0
        self._work = asyncio.ensure_future(self._respond(milliseconds / 1000 * random.uniform(0.5, 1.5)))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _respond(self, seconds: float) -> None:
        async with self._places:
            await asyncio.sleep(seconds)
        self._transport.write(_RESPONSE)


async def main(port: int, places: int) -> None:
    one = asyncio.Semaphore(places)
    server = await asyncio.get_running_loop().create_server(lambda: Model(one), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
