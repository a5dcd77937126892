"""A request in parts, so that any of them can be made odd; then its bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field

CRLF = b"\r\n"


@dataclass(slots=True)
class Draft:
    """A request before it is written.

    ``case`` is in every target, so that the upstream knows whose request it sees; targets are routes of the gateway.
    ``framing`` are the header lines that say how long ``body`` is; a body that its framing does not delimit may be read
    as further requests, so a body may hold one.
    """

    case: bytes
    before: bytes = b""
    method: bytes = b"POST"
    after_method: bytes = b" "
    target: bytes = b""
    after_target: bytes = b" "
    version: bytes = b"HTTP/1.1"
    request_end: bytes = CRLF
    host: bytes = b"Host: x\r\n"
    lines: list[bytes] = field(default_factory=list)
    framing: list[bytes] = field(default_factory=lambda: [b"Content-Length: 3\r\n"])
    headers_end: bytes = CRLF
    body: bytes = b"abc"

    def __post_init__(self) -> None:
        self.target = b"/v2/models/%b/infer" % self.case

    def inner(self) -> bytes:
        """A request that must not be seen when it lies in a body."""
        return b"GET /v2/models/%b/config HTTP/1.1\r\nHost: x\r\n\r\n" % self.case

    def last(self) -> bytes:
        """A plain request to send behind it."""
        return b"GET /v2/models/%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % self.case

    def render(self) -> bytes:
        line = (self.before, self.method, self.after_method, self.target, self.after_target, self.version)
        return b"".join((*line, self.request_end, self.host, *self.lines, *self.framing, self.headers_end, self.body))


@dataclass(frozen=True, slots=True)
class Oddity:
    """One thing that is odd about a request; two of one ``place`` do not go together."""

    name: str
    place: str
    edit: Callable[[Draft], None]


def frames(draft: Draft, body: bytes, *framing: bytes) -> None:
    """Gives a draft a body and what says how long that is."""
    draft.body, draft.framing = body, list(framing)
