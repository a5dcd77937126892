"""``python -m tests.one_server.small_server PORT``: the one server with limits that are met within seconds."""

import asyncio
import sys

import uvloop

from switchyard.http.server import Exchange, Server, ServerLimits

LIMITS = ServerLimits(
    connections=300,
    header_seconds=1.0,
    read_seconds=1.5,
    idle_seconds=2.0,
    stall_seconds=1.0,
    linger_seconds=0.2,
    control_frames=512,
    control_frames_per_second=128,
    body_memory=8 * 1024 * 1024,
)
BODY_BYTES = 1024 * 1024
STREAM = b'"stream"'


async def handle(exchange: Exchange) -> None:
    """Respond to a GET at once, and to a POST once its body has come: with its size, or with a stream without end."""
    body = await exchange.body(BODY_BYTES)
    if body != STREAM:
        exchange.respond(200, [(b"content-type", b"text/plain")], b"%d bytes" % len(body))
        return
    exchange.start(200, [(b"content-type", b"text/plain")])
    while True:
        exchange.write(b"x" * 16384)
        await exchange.drain()
        await asyncio.sleep(0.001)


async def main(port: int) -> None:
    await Server(handle, LIMITS).listen("127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
