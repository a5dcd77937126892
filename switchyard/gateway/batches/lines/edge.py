"""The response to a line of a batch, kept in memory until it is written down."""

from collections.abc import Sequence

from switchyard.http.api_errors import ApiError, Shape, render
from switchyard.http.client.response import Sink
from switchyard.http.headers import Header

RESPONSE_BYTES = 4 * 1024 * 1024  # of one line's response: as many are in memory as are under way


class LineEdge:
    """An edge that is nobody's connection: its caller is the gateway itself.

    ``is_too_long`` says that the response was, and that nothing of it was kept.
    """

    __slots__ = (
        "_body",
        "_own",
        "_request",
        "_shape",
        "cancelled",
        "code",
        "headers",
        "is_too_long",
        "started",
    )

    def __init__(self, body: bytes, shape: Shape) -> None:
        self._request = body
        self._shape = shape
        self._own: list[Header] = []
        self._body = bytearray()
        self.headers: list[Header] = []
        self.started = self.is_too_long = False
        self.code: int | str = 0
        self.cancelled: int | str = 499

    @property
    def caller(self) -> str:
        return ""

    @property
    def response(self) -> bytes:
        """The response's body so far."""
        return bytes(self._body)

    def header(self, name: bytes) -> bytes:
        """Return a header of the response, empty without."""
        return next((value for key, value in [*self.headers, *self._own] if key == name), b"")

    def held_for(self, owner: str) -> None:
        """The batch counts its own lines."""

    async def body(self, limit: int) -> bytes:
        if len(self._request) > limit:
            raise ApiError("body_too_large", f"the body is longer than {limit} bytes; send less")
        return self._request

    def respond(self, status: int, headers: list[Header], body: bytes) -> None:
        self.start(status, headers)
        self.write(body)

    def start(self, status: int, headers: list[Header]) -> None:
        self.started = True
        self.code = status
        self.headers = headers

    def write(self, data: bytes) -> None:
        if self.is_too_long or len(self._body) + len(data) > RESPONSE_BYTES:
            self.is_too_long = True
            self._body.clear()
        else:
            self._body += data

    async def drain(self) -> None:
        """Nothing waits for anybody."""

    def end(self) -> None:
        """The response is whole."""

    def release(self) -> None:
        self._request = b""

    def add_headers(self, headers: Sequence[Header]) -> None:
        self._own += headers

    @property
    def congested(self) -> bool:
        return False

    @property
    def sink(self) -> Sink:
        return self

    def fail(self, error: ApiError) -> None:
        """Respond with the error, in place of what there is of a response."""
        content_type, body = render(error, self._shape)
        self._body.clear()
        self.respond(error.status, [(b"content-type", content_type), *error.headers], body)
