"""``python -m benchmarks.telemetry.collector PORT``: takes spans by OTLP over HTTP, and forgets them."""

import asyncio
import sys

from switchyard.http.server import Exchange, Server
from switchyard.http.web_access import loopback_access

_HOST = "127.0.0.1"
_MOST_BYTES = 64 * 1024 * 1024  # of one request; a queue of the SDK's holds 2048 spans of some 400 bytes


async def _take(exchange: Exchange) -> None:
    await exchange.body(_MOST_BYTES)
    exchange.respond(200, [(b"content-type", b"application/x-protobuf")], b"")


async def _serve(port: int) -> None:
    server = Server(_take, access=loopback_access(_HOST))
    await server.listen(_HOST, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
