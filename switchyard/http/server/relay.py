"""Forwarding an upstream's response to an exchange."""

from switchyard.http.client import Response
from switchyard.http.headers import Header
from switchyard.http.server.exchange import Exchange


async def relay(response: Response, exchange: Exchange, headers: list[Header]) -> None:
    """Respond with ``response`` as it arrives, in one write if all of it has; ``headers`` replace its own.

    Raises:
        UpstreamError: the response ended early; ``exchange.started`` tells whether its headers were sent.
    """
    if not response.is_events:
        await response.begun()
    if response.complete and exchange.method != b"HEAD":  # whose content-length is of a body that does not come
        own = [header for header in headers if header[0] != b"content-length"]
        exchange.respond(response.status, own, response.read_nowait())
        return
    exchange.start(response.status, headers)
    exchange.write(response.read_nowait())
    while data := await response.chunk():
        exchange.write(data)
        await exchange.drain()
    exchange.end()
