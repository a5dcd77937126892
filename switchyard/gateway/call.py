"""One call of any protocol, from its arrival to its end."""

import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from switchyard.catalog import Model
from switchyard.gateway.admission.service_tiers import ServiceTier
from switchyard.gateway.routes.table import Route
from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError
from switchyard.http.client.response import Sink
from switchyard.http.headers import Header
from switchyard.http.usage import Usage
from switchyard.telemetry.tracing import Span

# RFC 9562 §5.4: the version and variant bits of a random UUID, here because uuid.uuid4 costs six times as much
_UUID4_CLEAR = ~(0xF000 << 64 | 0xC000 << 48)
_UUID4_SET = 0x4000 << 64 | 0x8000 << 48
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class Asked(NamedTuple):
    """What a request asks of its output: ``tokens`` of each choice at most, None if it does not say; ``choices``."""

    tokens: int | None = None
    choices: int = 1


class Edge(Protocol):
    """A call as its caller sees it, in the caller's protocol.

    A response is sent whole with ``respond``, or in chunks with ``start``, ``write`` and ``end``.
    """

    @property
    def caller(self) -> str:
        """The caller's address; empty when it has disconnected already."""

    @property
    def started(self) -> bool:
        """Whether the response has started."""

    @property
    def code(self) -> int | str:
        """The status in the protocol's own terms: HTTP's number or gRPC's name; 0 before the response."""

    @property
    def cancelled(self) -> int | str:
        """The same for a call whose caller disconnected before the response was complete."""

    def held_for(self, owner: str) -> None:
        """Count what is held of the body for ``owner``, whose bodies are to leave room for others'."""

    async def body(self, limit: int) -> bytes:
        """Return the request's body, at most ``limit`` bytes; for a gRPC call, the beginning of its first message.

        Raises:
            ApiError: it is too large, arrived too slowly or breaks the protocol, or too many are held.
        """

    def respond(self, status: int, headers: list[Header], body: bytes) -> None: ...
    def start(self, status: int, headers: list[Header]) -> None: ...
    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...
    def end(self) -> None: ...

    def release(self) -> None:
        """Free the request's body: nobody will read it again."""

    def add_headers(self, headers: Sequence[Header]) -> None:
        """Add headers to the response, whatever it will be; it has not started."""

    @property
    def sink(self) -> Sink:
        """Where a body that is only forwarded is piped to, so that nothing stands between for each token."""

    def fail(self, error: ApiError) -> None:
        """Send an error: as a response, as the last event of a stream, or by aborting the response."""


class Call:
    """What stages know of a call: its edge creates it, and each stage fills in what it finds out.

    ``headers`` are the request's (names in lower case, metadata in gRPC), ``fields`` the same for look-ups;
    ``http.headers`` decides which of them are forwarded. ``started`` and ``deadline`` are in the event loop's time.
    ``identity`` is None in a gateway without keys. ``stream`` says that the caller wants events, ``holds_image``
    that its messages hold an image. ``usage`` is what the engine counted, None while nobody knows. ``status`` is
    that of the model's response, 0 before it. ``asked`` is how much output a tenant's request asks for, and
    ``tier`` that of the model that ``auto`` chose; ``service_tier`` is OpenAI's, which says whose turn it is.
    ``broken`` says that the model ended its stream with an error, ``sent`` that it may have begun to work on the
    call. ``call_id`` is what the ledger is to know it by, empty for an id of its own: one that is made again after
    a crash, with the id of the first attempt, is charged once. ``error`` is the code of an error of the model's
    that the caller got as it is.

    ``messages`` are those of a gRPC stream that the model was sent. ``message_checks`` are awaited before each after
    the first: an ``ApiError`` that one raises ends the stream.

    ``span`` is the call's place in a trace, None in one that is of none, and ``trace_context`` what the model is told
    of that. ``background`` says that nobody waits for the call: it takes its turn from nobody.

    ``cached`` responds in the model's place, None where the model does, and ``counts`` is what such a response counts
    for limits and on the bill, None for what was used.

    ``settle``, None in a call that nobody counts, writes what the call used to the ledger. Whoever responds awaits it
    immediately before the last bytes, so that a call whose caller saw the end is counted even if the gateway is killed
    then. It never raises, and does nothing the second time.
    """

    __slots__ = (
        "asked",
        "background",
        "body",
        "broken",
        "cached",
        "call_id",
        "counts",
        "deadline",
        "edge",
        "error",
        "fields",
        "headers",
        "holds_image",
        "identity",
        "logged",
        "message_checks",
        "messages",
        "method",
        "model",
        "model_name",
        "params",
        "path",
        "query",
        "request_id",
        "route",
        "sent",
        "service_tier",
        "settle",
        "span",
        "started",
        "status",
        "stream",
        "tier",
        "trace_context",
        "usage",
    )

    def __init__(
        self,
        edge: Edge,
        route: Route,
        params: Mapping[str, str],
        *,
        method: bytes,
        path: bytes,
        query: bytes,
        headers: list[Header],
        fields: Mapping[bytes, bytes],
        request_id: bytes,
        started: float,
        deadline: float | None = None,
    ) -> None:
        self.edge = edge
        self.route = route
        self.params = params
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.fields = fields
        self.request_id = request_id
        self.started = started
        self.deadline = deadline
        self.body = b""
        self.model_name = ""
        self.identity: Identity | None = None
        self.stream = False
        self.holds_image = False
        self.model: Model | None = None
        self.span: Span | None = None
        self.trace_context: Sequence[Header] = ()
        self.usage: Usage | None = None
        self.cached: Callable[[Call, Callable[[Call], Awaitable[None]]], Awaitable[None]] | None = None
        self.counts: Usage | None = None
        self.status = 0
        self.asked = Asked()
        self.tier = ""
        self.service_tier: ServiceTier = "default"
        self.error: str | None = None
        self.call_id = ""
        self.sent = self.broken = self.logged = self.background = False
        self.messages = 1
        self.message_checks: tuple[Callable[[], Awaitable[None]], ...] = ()
        self.settle: Callable[[], Awaitable[None]] | None = None


def request_id(given: bytes | None) -> bytes:
    """Return the caller's own id where it is safe to log and forward, else a new one."""
    if given is not None and _SANE_ID.fullmatch(given):
        return given
    # An id that clients are shown anyway is no secret, so ``random`` will do.
    return b"%032x" % (random.getrandbits(128) & _UUID4_CLEAR | _UUID4_SET)
