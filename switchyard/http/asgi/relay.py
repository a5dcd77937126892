"""Forwarding an upstream's response to an ASGI server."""

from switchyard.http.asgi import Send
from switchyard.http.client import Response
from switchyard.http.headers import Header


async def relay(response: Response, send: Send, headers: list[Header]) -> None:
    """Forward a response as it arrives, each chunk at once; ``headers`` replace its own.

    Raises:
        UpstreamError: the response ended early; its headers have been sent.
    """
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.complete:
        await send({"type": "http.response.body", "body": response.read_nowait()})
        return
    more = True
    while more:
        chunk = await response.chunk()
        more = bool(chunk) and not response.complete
        await send({"type": "http.response.body", "body": chunk, "more_body": more})
