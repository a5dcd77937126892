"""HTTP: creates a ``Call`` from an exchange, and responds on it."""

from collections.abc import AsyncIterator, Sequence

from switchyard.gateway.call import Call, request_id
from switchyard.gateway.edges.cors import Cors
from switchyard.gateway.routes.match import Match
from switchyard.http.api_errors import ApiError, Shape, event, of_body, render
from switchyard.http.client.response import Sink
from switchyard.http.headers import Header
from switchyard.http.request_errors import BadRequestError, BodyTooLargeError, BodyTooSlowError
from switchyard.http.server.exchange import Exchange

CLIENT_CLOSED = 499  # nginx's number for a client that disconnected; in metrics only


class HttpEdge:
    """The response of an HTTP call; every response gets ``own`` headers: the request's id and the CORS headers."""

    __slots__ = ("_exchange", "_is_events", "_own", "_shape", "cancelled", "code")

    def __init__(self, exchange: Exchange, shape: Shape, own: list[Header]) -> None:
        self._exchange = exchange
        self._shape = shape
        self._own = own
        self._is_events = False
        self.code: int | str = 0
        self.cancelled: int | str = CLIENT_CLOSED

    @property
    def caller(self) -> str:
        client = self._exchange.client
        return client[0] if client is not None else ""

    @property
    def started(self) -> bool:
        return self._exchange.started

    def held_for(self, owner: str) -> None:
        self._exchange.held_for(owner)

    async def body(self, limit: int) -> bytes:
        try:
            return await self._exchange.body(limit)
        except (BadRequestError, BodyTooLargeError, BodyTooSlowError) as err:
            raise of_body(err) from err

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, whatever its length; the client is read no faster. Raises as ``body``."""
        try:
            async for chunk in self._exchange.chunks():
                yield chunk
        except (BadRequestError, BodyTooLargeError, BodyTooSlowError) as err:
            raise of_body(err) from err

    def release(self) -> None:
        self._exchange.release()

    def add_headers(self, headers: Sequence[Header]) -> None:
        self._own = [*self._own, *headers]

    def respond(self, status: int, headers: list[Header], body: bytes) -> None:
        self.code = status
        self._exchange.respond(status, headers + self._own, body)

    def start(self, status: int, headers: list[Header]) -> None:
        self.code = status
        content_type = next((value for name, value in headers if name == b"content-type"), b"")
        self._is_events = content_type.startswith(b"text/event-stream")
        self._exchange.start(status, headers + self._own)

    def write(self, data: bytes) -> None:
        self._exchange.write(data)

    async def drain(self) -> None:
        await self._exchange.drain()

    def end(self) -> None:
        self._exchange.end()

    @property
    def sink(self) -> Sink:
        return self._exchange

    def fail(self, error: ApiError) -> None:
        """Send an error response; after the headers, an error event, or abort the response."""
        if not self.started:
            content_type, body = render(error, self._shape)
            self.respond(error.status, [(b"content-type", content_type), *error.headers], body)
            return
        self.code = error.status
        if self._is_events and self._shape != "text":
            # The empty line ends an incomplete event. No [DONE]: the response is not complete.
            self._exchange.write(b"\n\n" + event(error, self._shape))
            self._exchange.end()
        else:
            # Plain text and JSON have no way to say that they failed: a cut connection is what every client takes for
            # an error.
            self._exchange.abort()


def http_call(exchange: Exchange, found: Match, cors: Cors, started: float, edge: type[HttpEdge] = HttpEdge) -> Call:
    """Create the call that ``exchange`` makes to the route ``found``; ``started`` is the loop's time at its arrival."""
    # For look-ups, where the last of two headers of one name counts; both are forwarded.
    fields = exchange.fields
    identifier = request_id(fields.get(b"x-request-id"))
    own = [(b"server", b"switchyard"), (b"x-request-id", identifier), *cors.headers(fields.get(b"origin"))]
    path, _, query = exchange.target.partition(b"?")
    return Call(
        edge(exchange, found.route.shape, own),
        found.route,
        found.params,
        # The model gets a GET, which every one of them serves; the server drops the body on the way back.
        method=b"GET" if exchange.method == b"HEAD" else exchange.method,
        path=path,
        query=query,
        headers=exchange.headers,
        fields=fields,
        request_id=identifier,
        started=started,
    )
