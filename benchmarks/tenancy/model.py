"""``python -m benchmarks.tenancy.model PORT``: a language model that only counts.

Its name says how many milliseconds a response takes, give or take half of it: ``m50``. A response has as many tokens as
``max_tokens`` says, or with ``"user": "random"`` one to that many. ``GET /seen`` says what it had since the last such
question: how many requests at once at most (``peak``) and times seconds (``held``), and when each arrived, with the
tokens that it used (``served``).
"""

import asyncio
import random
import re
import sys
import time
from typing import ClassVar

import httptools
import orjson
import uvloop

_MODEL = re.compile(r"m(\d+)")
_HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNKS = 4  # of a stream


class Model(asyncio.Protocol):
    """One connection."""

    now: ClassVar[int] = 0
    peak: ClassVar[int] = 0
    held: ClassVar[float] = 0.0
    changed: ClassVar[float] = time.monotonic()
    served: ClassVar[list[tuple[float, int]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""
        self._work: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url == b"/seen":
            _count(0)
            self._plain(orjson.dumps({"peak": Model.peak, "held": Model.held, "served": Model.served}))
            Model.peak, Model.held, Model.served = Model.now, 0.0, []
            return
        request = orjson.loads(self._body)
        found = _MODEL.fullmatch(request["model"])
        seconds = int(found.group(1)) / 1000 if found else 0.0
        most = request.get("max_tokens", 1)
        tokens = random.randint(1, most) if request.get("user") == "random" else most
        usage = {"prompt_tokens": len(self._body) // 4, "completion_tokens": tokens}
        Model.served.append((time.time(), usage["prompt_tokens"] + tokens))
        if seconds or request.get("stream"):
            stream = bool(request.get("stream"))
            self._work = asyncio.ensure_future(self._respond(usage, seconds * random.uniform(0.5, 1.5), stream))
        else:
            self._plain(_completion(usage))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _respond(self, usage: dict[str, int], seconds: float, stream: bool) -> None:
        _count(1)
        try:
            if stream:
                await self._stream(usage, seconds)
            else:
                await asyncio.sleep(seconds)
                self._plain(_completion(usage))
        finally:
            _count(-1)
        self._work = None

    async def _stream(self, usage: dict[str, int], seconds: float) -> None:
        self._transport.write(_EVENTS)
        for number in range(_CHUNKS):
            await asyncio.sleep(seconds / _CHUNKS)
            counted = {"usage": usage} if number == _CHUNKS - 1 else {}
            choice = {"index": 0, "delta": {"content": "token"}}
            event = {"id": "1", "object": "chat.completion.chunk", "choices": [choice], **counted}
            self._chunk(b"data: %b\n\n" % orjson.dumps(event))
        self._chunk(b"data: [DONE]\n\n")
        self._transport.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _plain(self, body: bytes) -> None:
        self._transport.write(_HEADERS % len(body) + body)


def _count(change: int) -> None:
    now = time.monotonic()
    Model.held += Model.now * (now - Model.changed)
    Model.changed = now
    Model.now += change
    Model.peak = max(Model.peak, Model.now)


def _completion(usage: dict[str, int]) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x" * 480}, "finish_reason": "stop"}
    return orjson.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
