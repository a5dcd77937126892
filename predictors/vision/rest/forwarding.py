"""Forwards requests to Triton, and its responses back, unchanged."""

import asyncio
from collections.abc import AsyncIterator, Callable

from predictors.vision.errors import of_triton, triton_is_away
from predictors.vision.triton.client import error_message
from switchyard.http.api_errors import ApiError, of_body
from switchyard.http.asgi import Message, Receive, Scope, Send
from switchyard.http.asgi.body import body_chunks, peek, read_body
from switchyard.http.asgi.disconnect import cancel_on_disconnect
from switchyard.http.asgi.relay import relay
from switchyard.http.client import Client, Response, Timeouts, Upload
from switchyard.http.client.errors import UpstreamError, UpstreamTimeoutError
from switchyard.http.headers import CLIENT_TO_TRITON, TRITON_TO_CLIENT
from switchyard.http.request_errors import BadRequestError, BodyTooLargeError, BodyTooSlowError

STREAMED_BYTES = 1024 * 1024  # larger bodies are forwarded while they arrive
_HINT = "send less, or ask the operator to raise MAX_BODY_BYTES"
# Of one header: beyond it Triton's HTTP server closes the connection or never responds.
_MAX_HEADER_BYTES = 8000


Explain = Callable[[str], str]


def _unchanged(reason: str) -> str:
    return reason


def declared_length(scope: Scope) -> int:
    """Return the content-length of a request, 0 if it has none."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


class Forwarding:
    """Forwards to the Triton at ``http`` (``host:port``); bodies have at most ``max_body_bytes``.

    ``on_failure`` is called with the reason of each request that a model failed at.
    """

    def __init__(self, client: Client, http: str, *, max_body_bytes: int, on_failure: Callable[[str], None]) -> None:
        self._client = client
        self._on_failure = on_failure
        self._origin = f"http://{http}"
        self._limit = max_body_bytes
        self._timeouts = Timeouts(connect=1.0)

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the whole body of a request.

        Raises:
            ApiError: 413 it is too large; 408 it did not arrive in time; 503 there is no memory for it.
            ClientDisconnectedError: the client disconnected before its end.
        """
        try:
            return await read_body(receive, scope, self._limit)
        except (BadRequestError, BodyTooLargeError, BodyTooSlowError) as err:
            raise of_body(err, _HINT) from err

    async def beginning(self, scope: Scope, receive: Receive, length: int) -> tuple[bytes, Receive]:
        """Read at least the first ``length`` bytes of a body; return them and a ``receive`` for the whole body.

        Raises:
            ApiError: 413 it is too large; 408 they did not arrive in time.
        """
        if declared_length(scope) > self._limit:
            raise of_body(BodyTooLargeError(self._limit), _HINT)
        try:
            return await peek(receive, length)
        except (BadRequestError, BodyTooSlowError) as err:
            raise of_body(err) from err

    async def stream(
        self,
        target: str,
        scope: Scope,
        receive: Receive,
        send: Send,
        traceparent: str | None,
        explain: Explain = _unchanged,
    ) -> None:
        """Forward the request while its body arrives; the body's length must be declared.

        Raises:
            ApiError: 408 it did not arrive in time; Triton is unavailable.
        """
        # ``receive`` has one reader at a time: until the body has been sent that is the upload, which sees a disconnect
        # itself; only then may the watcher for a disconnect take its place, or it would swallow chunks.
        sent = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in body_chunks(receive):
                yield chunk
            sent.set()

        async def after_the_body() -> Message:
            await sent.wait()
            return await receive()

        upload = Upload(declared_length(scope), chunks())
        try:
            await self.send(target, scope, upload, after_the_body, send, traceparent, explain)
        except BodyTooSlowError as err:
            raise of_body(err) from err

    async def send(
        self,
        target: str,
        scope: Scope,
        body: bytes | Upload,
        receive: Receive,
        send: Send,
        traceparent: str | None,
        explain: Explain = _unchanged,
    ) -> None:
        """Forward the request, and the response chunk by chunk; a disconnect of the client ends both.

        ``receive`` returns what follows the body. ``explain`` is given why Triton finds the request wrong, and returns
        what the client is told.

        Raises:
            ApiError: Triton's own; 431 a header is too long for it; it is unavailable; no response has begun.
            UpstreamError: the response ended early.
        """
        headers = CLIENT_TO_TRITON.passed(scope["headers"])
        if any(len(name) + len(value) > _MAX_HEADER_BYTES for name, value in headers):
            message = f"a header is longer than {_MAX_HEADER_BYTES} bytes, which Triton does not take"
            raise ApiError("invalid_http", message, status=431)
        if traceparent:
            headers.append((b"traceparent", traceparent.encode()))
        with cancel_on_disconnect(receive):
            try:
                response = await self._client.request(
                    scope["method"].encode(), self._origin + target, headers, body, timeouts=self._timeouts
                )
                # A Triton that ends before the first byte of a body is an error with a sentence, not a cut connection.
                await response.begun()
            except UpstreamTimeoutError as err:
                raise ApiError("upstream_timeout", f"Triton did not respond in time: {err}") from err
            except UpstreamError as err:
                raise triton_is_away() from err
            try:
                passed = TRITON_TO_CLIENT.passed(response.headers)
                if response.status >= 400:
                    raise await self._error(response, explain)
                await relay(response, send, passed)
            finally:
                response.close()

    async def _error(self, response: Response, explain: Explain) -> ApiError:
        """Return Triton's error, and report the reason of one that a model failed with."""
        try:
            reason = error_message(await response.read())
        except UpstreamError as err:
            raise triton_is_away() from err
        if response.status == 500:
            self._on_failure(reason)
        return of_triton(response.status, explain(reason) if response.status == 400 else reason)
