"""Responses that an ASGI application makes itself, and the parts of requests that it needs for them."""

from collections.abc import Sequence

from switchyard.http.api_errors import ApiError, render, shape_of
from switchyard.http.asgi.types import Receive, Scope, Send

Headers = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


async def reply(send: Send, status: int, body: bytes, kind: bytes, headers: Headers = ()) -> None:
    """Send a whole response."""
    length = (b"content-length", b"%d" % len(body))
    own = [(b"content-type", kind), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})


async def respond_error(scope: Scope, send: Send, error: ApiError) -> None:
    """Send an error in the shape of the path's protocol."""
    kind, body = render(error, shape_of(scope["path"]))
    await reply(send, error.status, body, kind, error.headers)


def header(scope: Scope, name: bytes) -> str | None:
    """Return a header's value, or None."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that returns an already read body again and then waits for the client to disconnect."""
    given = False

    async def again() -> dict[str, object]:
        nonlocal given
        if given:
            return dict(await receive())
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
