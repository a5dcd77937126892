"""Says what a request used, when the gateway asks: in a header, comments of a stream, or trailers of gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import orjson

from switchyard.http.asgi.replies import header
from switchyard.http.asgi.types import App, Message, Receive, Scope, Send
from switchyard.http.headers import USAGE
from switchyard.http.sse import EVENT, USAGE_COMMENT

# The events after which clients read no further: OpenAI's of chats and completions, Anthropic's, OpenAI's of responses.
_LAST_EVENTS = (b"data: [DONE]", b"event: message_stop", b"event: response.completed")


class Counted:
    """What the engine has counted for one request so far; its names are those of OpenAI's ``usage``, and ours."""

    __slots__ = ("cached_tokens", "completion_tokens", "inferences", "pixels", "prompt_tokens", "reasoning_tokens")

    def __init__(self) -> None:
        self.prompt_tokens = self.completion_tokens = self.cached_tokens = self.reasoning_tokens = 0
        self.inferences = self.pixels = 0

    def add(self, other: "Counted") -> None:
        """Add another's counts."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_json(self) -> bytes:
        """Return the counts that are not zero as a JSON object."""
        return orjson.dumps({name: count for name in self.__slots__ if (count := getattr(self, name))})


counted: ContextVar[Counted | None] = ContextVar("counted", default=None)


class UsageReport:
    """ASGI middleware: a request that asks has a ``Counted`` in ``counted``, and the response says what is in it.

    The application fills it before it sends a whole response, or during a stream. Other requests pass untouched.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and header(scope, USAGE) is not None:
            counts = Counted()
            counted.set(counts)
            send = _Reporting(counts, send)
        await self._app(scope, receive, send)


@contextmanager
def usage_in_trailers(context: Any) -> Iterator[None]:
    """Let a gRPC call that asks for it count what it uses in ``counted``, and say it in its trailers, also of an error.

    ``context`` is that of gRPC's library, which runs each call in a task of its own: nobody else sees these counts.
    """
    name = USAGE.decode()
    if all(key != name for key, _ in context.invocation_metadata() or ()):
        yield
        return
    counts = Counted()
    counted.set(counts)
    try:
        yield
    finally:
        context.set_trailing_metadata(((name, counts.as_json().decode()),))


class _Reporting:
    """Sends a response with its usage."""

    def __init__(self, counts: Counted, send: Send) -> None:
        self._counts = counts
        self._send = send
        self._pending = False  # a stream has not said it yet
        self._known = 0  # tokens that whoever reads the stream knows of, as each event has one

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start(message)
        elif self._pending:
            self._add_comment(message)
        await self._send(message)

    def _start(self, message: Message) -> None:
        headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
        kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        if kind.startswith(b"text/event-stream"):
            self._pending = True
        else:
            message["headers"] = [*headers, (USAGE, self._counts.as_json())]

    def _add_comment(self, message: Message) -> None:
        body: Any = message.get("body", b"")
        self._known += bytes(body).count(EVENT)
        last = bytes(body[:32]).startswith(_LAST_EVENTS)
        if last or not message.get("more_body", False):
            comment = USAGE_COMMENT + self._counts.as_json() + b"\n\n"
            # An event ends with an empty line: the comment stands before the last one, else behind all.
            message["body"] = comment + body if last else body + comment
            self._pending = False
        elif self._counts.completion_tokens > self._known and body[-2:] == b"\n\n":
            # Tokens without an event, as those of reasoning that is hidden: the stream may be cut before its end.
            self._known = self._counts.completion_tokens
            message["body"] = body + USAGE_COMMENT + self._counts.as_json() + b"\n\n"
