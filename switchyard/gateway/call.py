"""What one request is, from the door to its last byte."""

import random
import re
from collections.abc import Mapping

from switchyard.catalog import Model
from switchyard.gateway.routes.table import Route
from switchyard.http.api_errors import Shape
from switchyard.http.asgi import Receive, Scope, Send
from switchyard.http.headers import Header
from switchyard.telemetry.tracing import Span

INTERNAL = b"x-switchyard-"
# RFC 9562 §5.4: the version and variant bits of a random UUID, here because uuid.uuid4 costs six times as much
_UUID4_CLEAR = ~(0xF000 << 64 | 0xC000 << 48)
_UUID4_SET = 0x4000 << 64 | 0x8000 << 48
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class Context:
    """Filled by one stage after the other; ``status`` is 0 until the head of an answer was sent.

    ``stream`` says that the client wants events, ``pictures`` that its messages hold some.

    ``headers`` are the request's without internal ones, ``fields`` the same for look-ups. ``started`` is the loop's
    time at arrival.
    """

    __slots__ = (
        *(
            "body",
            "fields",
            "headers",
            "model",
            "model_name",
            "params",
            "pictures",
            "receive",
            "request_id",
            "route",
            "scope",
        ),
        *("send", "span", "started", "status", "stream"),
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, route: Route, params: Mapping[str, str], started: float
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.route = route
        self.params = params
        self.started = started
        self.headers: list[Header] = [header for header in scope["headers"] if not header[0].startswith(INTERNAL)]
        self.fields: dict[bytes, bytes] = dict(self.headers)
        self.request_id = request_id(self.fields.get(b"x-request-id"))
        self.body = b""
        self.model_name = ""
        self.stream = False
        self.pictures = False
        self.model: Model | None = None
        self.span: Span | None = None
        self.status = 0

    @property
    def shape(self) -> Shape:
        return self.route.shape

    async def start(self, status: int, headers: list[Header]) -> None:
        """Sends the head of the answer, with the request's id."""
        self.status = status
        headers.append((b"x-request-id", self.request_id))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def answer(self, status: int, content_type: bytes, body: bytes, extra: tuple[Header, ...] = ()) -> None:
        """Sends a whole answer."""
        length = (b"content-length", b"%d" % len(body))
        await self.start(status, [(b"content-type", content_type), length, *extra])
        await self.send({"type": "http.response.body", "body": body})


def request_id(given: bytes | None) -> bytes:
    """The client's own id when it is a sane token, a new one otherwise."""
    if given is not None and _SANE_ID.fullmatch(given):
        return given
    return b"%032x" % (random.getrandbits(128) & _UUID4_CLEAR | _UUID4_SET)
