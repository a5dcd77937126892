"""Sending an upstream's response on."""

from switchyard.http.asgi import Send
from switchyard.http.client import Response
from switchyard.http.headers import Header


async def relay(response: Response, send: Send, headers: list[Header]) -> None:
    """Sends an answer on as it arrives, each piece at once.

    Raises:
        UpstreamError: the answer broke off; the head has been sent.
    """
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await relay_body(response, send)


async def relay_body(response: Response, send: Send) -> None:
    """Sends the body of an answer on as it arrives, and ends the answer.

    Raises:
        UpstreamError: the answer broke off.
    """
    if response.complete:  # nothing can follow what lies here
        await send({"type": "http.response.body", "body": response.read_nowait()})
        return
    more = True
    while more:
        data = await response.chunk()
        more = bool(data) and not response.complete
        await send({"type": "http.response.body", "body": data, "more_body": more})
