"""A request on a WebSocket, as stages see it: what they send as HTTP goes out as messages with the request's id."""

from collections.abc import Mapping, Sequence

import orjson

from switchyard.gateway.edges.http import CLIENT_CLOSED
from switchyard.gateway.websocket.events import Event, EventParser
from switchyard.gateway.websocket.messages import error_message, failure_message
from switchyard.http.api_errors import CODES, ApiError, Shape, of_body
from switchyard.http.client.response import Sink
from switchyard.http.headers import Header
from switchyard.http.request_errors import BodyTooLargeError
from switchyard.http.server.websocket.connection import WebSocket
from switchyard.http.sse import EVENT_BYTES, EventTooLongError

_EVENTS = b"text/event-stream"
_DONE = b"[DONE]"
_COMMENT_CHARACTERS = 200  # of what is said while a stream waits
# What the messages themselves say, and what is about HTTP's body.
_UNSHOWN = (b"content-", b"cache-control", b"x-request-id", b"server", b"x-accel-buffering")


class SocketEdge:
    """The response of one request: ``started``, ``chunk`` for each event and ``done``, or at any time ``error``.

    Each message of it begins with the request's id. It is its own sink, with which the model is read no faster than
    the client reads; ``end`` and ``fail`` send the last message. A closed socket takes whatever is written, and drops
    it.
    """

    __slots__ = (
        *("_body", "_failure", "_headers", "_held", "_id", "_is_events", "_last", "_owner", "_parser", "_prefix"),
        *("_request_id", "_shape", "_size", "_socket", "_whole", "cancelled", "code", "started"),
    )

    def __init__(self, socket: WebSocket, identifier: str | None, request_id: bytes, body: bytes, shape: Shape) -> None:
        self.code: int | str = 0
        self.cancelled: int | str = CLIENT_CLOSED
        self.started = False
        self._socket = socket
        self._id = identifier
        self._prefix = b'{"id":' + orjson.dumps(identifier)
        self._request_id = request_id.decode()
        self._shape = shape
        self._body = body
        self._owner: str | None = None
        self._held = len(body)
        socket.memory.take(None, self._held)
        self._headers: list[Header] = []
        self._is_events = self._last = False
        self._parser = EventParser()
        self._whole: list[bytes] = []  # of a response that is no stream
        self._size = 0  # of it
        self._failure: bytes | None = None  # the last message, once the response cannot be completed

    @property
    def caller(self) -> str:
        client = self._socket.client
        return client[0] if client is not None else ""

    # -- the request

    def held_for(self, owner: str) -> None:
        memory = self._socket.memory
        memory.give_back(self._owner, self._held)
        memory.take(owner, self._held)
        self._owner = owner

    async def body(self, limit: int) -> bytes:
        excess = self._socket.memory.excess(self._owner, self._held)
        if self._held and excess is not None:
            raise of_body(excess)
        body, self._body = self._body, b""
        if len(body) > limit:
            raise of_body(BodyTooLargeError(limit))
        return body

    def release(self) -> None:
        held, self._held = self._held, 0
        self._body = b""
        self._socket.memory.give_back(self._owner, held)

    # -- the response

    def add_headers(self, headers: Sequence[Header]) -> None:
        self._headers += headers

    def respond(self, status: int, headers: list[Header], body: bytes) -> None:
        self.start(status, headers)
        self.write(body)
        self.end()

    def start(self, status: int, headers: list[Header]) -> None:
        self.code, self.started = status, True
        self._headers = [*headers, *self._headers]
        self._is_events = any(name == b"content-type" and value.startswith(_EVENTS) for name, value in headers)
        if self._is_events:
            self._socket.send(self._message(b"started", True, self._about()))

    def write(self, data: bytes) -> None:
        if not self._is_events:
            self._add(data)
            return
        try:
            messages = [self._of_event(event) for event in self._parser.feed(data)]
        except EventTooLongError as err:
            self._fail_stream(ApiError("upstream_invalid", str(err)))
            return
        self._socket.send(*[message for message in messages if message])

    @property
    def congested(self) -> bool:
        return self._socket.congested

    async def drain(self) -> None:
        await self._socket.writable()

    @property
    def sink(self) -> Sink:
        return self

    def end(self) -> None:
        if self._failure is not None:
            self._finish(self._failure)
        elif self._is_events:
            self._finish(self._message(b"done", True, {"status": self.code}))
        else:
            self._finish(self._of_body(b"".join(self._whole)))

    def fail(self, error: ApiError) -> None:
        self.code = error.status
        self._finish(error_message(self._id, error, self._shape, **self._about(error.headers)))

    def cancel(self) -> None:
        """Say that the request ended as its client asked for, if nothing else was said."""
        self._finish(self._message(b"done", True, {"cancelled": True}))

    def _add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= EVENT_BYTES:
            self._whole.append(data)
        else:
            self._whole.clear()
            self._fail_stream(ApiError("upstream_invalid", "the response is too large for a message; ask over HTTP"))

    def _finish(self, message: bytes) -> None:
        if not self._last:
            self._last = True
            self._socket.send(message)

    def _message(self, name: bytes, value: object, more: Mapping[str, object]) -> bytes:
        rest = orjson.dumps({name.decode(): value, **more})
        return self._prefix + b"," + rest[1:]

    def _about(self, headers: Sequence[Header] = ()) -> dict[str, object]:
        """Return what of the response's headers is shown; the last of a name counts."""
        shown = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in (*self._headers, *headers)
            if not name.startswith(_UNSHOWN)
        }
        return {"status": self.code, "request_id": self._request_id, "headers": shown}

    def _of_event(self, event: Event) -> bytes:
        data = event.data
        if data is None:
            comment = event.comment[:_COMMENT_CHARACTERS].decode(errors="replace")
            return self._message(b"waiting", comment, {}) if comment else b""
        if data == _DONE or self._failure is not None:
            return b""
        try:
            payload = orjson.loads(data)  # whatever a model sends, it ends no message and begins no other
        except orjson.JSONDecodeError:
            self._fail_stream(ApiError("upstream_invalid", "the model sent an event that is not JSON"))
            return b""
        if isinstance(payload, dict) and "error" in payload and payload.keys() <= {"error", "type"}:
            self._failure = failure_message(self._id, payload["error"], **self._failed(CODES["upstream_invalid"]))
            return b""
        number = b',"event":%d' % int(event.id) if event.id.isdigit() else b""
        return self._prefix + number + b',"chunk":' + data.strip() + b"}"

    def _fail_stream(self, error: ApiError) -> None:
        self._failure = self._failure or error_message(self._id, error, self._shape, **self._failed(error.status))

    def _failed(self, status: int) -> dict[str, object]:
        return {"status": status, "request_id": self._request_id}

    def _of_body(self, body: bytes) -> bytes:
        """Return the last message of a response that is no stream."""
        try:
            payload = orjson.loads(body) if body else None
        except orjson.JSONDecodeError:
            invalid = ApiError("upstream_invalid", "the model sent a response that is not JSON")
            self.code = invalid.status
            return error_message(self._id, invalid, self._shape, **self._failed(invalid.status))
        if isinstance(self.code, int) and self.code >= 400:
            error = payload.get("error", payload) if isinstance(payload, dict) else payload
            return failure_message(self._id, error, **self._about())
        about = orjson.dumps({"done": True, **self._about()})
        return self._prefix + b"," + about[1:-1] + b',"body":' + (body.strip() or b"null") + b"}"
