"""ASGI applications on the one server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import unquote

from switchyard.http.api_errors import ApiError
from switchyard.http.asgi.body import BodyReceive
from switchyard.http.asgi.types import App, Message, Scope
from switchyard.http.headers import Header
from switchyard.http.request_errors import BadRequestError, BodyTooLargeError, BodyTooSlowError, ClientDisconnectedError
from switchyard.http.server import Exchange, Handler

# Looks at a request's whole body before the application does, and returns the one that the application gets; an
# ``ApiError`` that it raises is the response.
BodyCheck = Callable[[Exchange, bytes], Awaitable[bytes]]

BODY_BYTES = 64 * 1024 * 1024  # of one request; as much as one gRPC message may have

# The server says these itself.
_OF_THE_SERVER = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"date"))


def handler_of(
    app: App, *, root_path: str = "", body_bytes: int = BODY_BYTES, check: BodyCheck | None = None
) -> Handler:
    """Return a handler that runs each request through ``app``, an ASGI 3 application.

    A disconnect does not cancel the application: ``receive`` returns ``http.disconnect``, as ASGI specifies, and
    whatever is sent afterwards is dropped. HEAD is GET to the application, and the body is not sent. Bodies over
    ``body_bytes`` get 413. With ``check``, bodies are read whole first; these, and those that ``read_body`` reads,
    count as the server's memory until the response is complete. Lifespan and WebSocket are not supported.
    """

    async def handle(exchange: Exchange) -> None:
        body = None
        if check is not None:
            body = await exchange.body(body_bytes)
            try:
                body = await check(exchange, body)
            except ApiError as err:
                exchange.respond_error(err)
                return
        request = _Request(exchange, body_bytes, body)
        try:
            await app(scope_of(exchange, root_path), request, request.send)
        except Exception:
            if request.error is None:
                raise
        finally:
            exchange.on_disconnect(None)  # which keeps the request, as that keeps the exchange
        if request.error is not None:
            raise request.error
        if not exchange.finished:
            raise RuntimeError("the application returned before its response was complete")

    return handle


def scope_of(exchange: Exchange, root_path: str = "") -> Scope:
    """Return the connection scope of a request (ASGI's specification, "HTTP connection scope")."""
    path, _, query = exchange.target.partition(b"?")
    text = path.decode("latin-1")
    return {
        "type": "http",
        # From 2.4 on Starlette would notice a disconnect only when it sends, and an engine would go on until then.
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": exchange.version,
        "server": exchange.server,
        "client": exchange.client,
        "scheme": exchange.scheme,
        "method": "GET" if exchange.method == b"HEAD" else exchange.method.decode("latin-1"),
        "root_path": root_path,
        "path": root_path + (unquote(text) if "%" in text else text),
        "raw_path": root_path.encode() + path,
        "query_string": query,
        "headers": exchange.headers,
        "state": {},
        "extensions": {},
    }


class _Request(BodyReceive):
    """Receives and sends for one request of an application; ``error`` is why it cannot be completed."""

    __slots__ = (
        "_body_bytes",
        "_body_received",
        "_changed",
        "_exchange",
        "_over",
        "_received",
        "_unsent",
        "_whole",
        "error",
    )

    def __init__(self, exchange: Exchange, body_bytes: int, body: bytes | None) -> None:
        self._exchange = exchange
        self._body_bytes = body_bytes
        self._whole = body
        self._received = 0
        self._body_received = False
        self._unsent: tuple[int, list[Header]] | None = None  # status and headers that have not been sent
        self._over = False  # the response is complete, or the client has disconnected
        self._changed: asyncio.Event | None = None  # for whoever waits for that
        self.error: Exception | None = None
        exchange.on_disconnect(self._disconnected)

    def _disconnected(self) -> None:
        self.error = ClientDisconnectedError()
        self._end()

    def _end(self) -> None:
        self._over = True
        if self._changed is not None:
            self._changed.set()

    async def body(self, limit: int) -> bytes:
        whole, self._whole = self._whole, None
        body = await self._exchange.body(limit) if whole is None else whole
        if len(body) > limit:
            raise BodyTooLargeError(limit)
        self._body_received = True
        return bytes(body)  # as ASGI has it: a large one is a ``bytearray`` here

    async def beginning(self, length: int) -> bytes:
        return await self._exchange.beginning(length) if self._whole is None else self._whole

    async def __call__(self) -> Message:
        if not self._body_received and not self._over:
            try:
                return await self._chunk()
            except (BadRequestError, BodyTooLargeError, BodyTooSlowError, ClientDisconnectedError) as err:
                self.error = err
                self._end()
        if not self._over:
            self._changed = self._changed or asyncio.Event()
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def _chunk(self) -> Message:
        if self._whole is not None:
            whole, self._whole, self._body_received = self._whole, None, True
            return {"type": "http.request", "body": whole, "more_body": False}
        exchange = self._exchange
        chunk = await exchange.chunk()
        self._received += len(chunk)
        if self._received > self._body_bytes:
            raise BodyTooLargeError(self._body_bytes)
        self._body_received = exchange.read_to_end
        return {"type": "http.request", "body": chunk, "more_body": not self._body_received}

    async def send(self, message: Message) -> None:
        if self._over:
            return
        if message["type"] == "http.response.start":
            self._unsent = (message["status"], _own(message.get("headers", ())))
            asyncio.get_running_loop().call_soon(self._send_headers)
            return
        body = bytes(message.get("body", b""))
        if not message.get("more_body", False):  # nothing follows that would have to wait for room
            self._complete(body)
            self._end()
            return
        self._start()
        self._exchange.write(body)
        await self._exchange.drain()

    def _start(self) -> None:
        unsent, self._unsent = self._unsent, None
        if unsent is not None:
            self._exchange.start(*unsent)

    def _complete(self, body: bytes) -> None:
        unsent, self._unsent = self._unsent, None
        if unsent is None:
            self._exchange.end(body)
        else:  # all of it is here: one write
            status, headers = unsent
            self._exchange.respond(status, [header for header in headers if header[0] != b"content-length"], body)

    def _send_headers(self) -> None:
        """Send the headers of a response whose first chunk has not come with them."""
        if self._unsent is not None and not self._over:
            self._start()
            self._exchange.write(b"")


def _own(headers: Iterable[tuple[bytes, bytes]]) -> list[Header]:
    lowered = [(name.lower(), value) for name, value in headers]
    return [header for header in lowered if header[0] not in _OF_THE_SERVER]
