"""Requests that go to Triton as they came, and answers that come back as they are."""

import asyncio
from collections.abc import AsyncIterator

from predictors.vision.refusal import Refused, triton_is_away
from switchyard.http.asgi import Message, Receive, Scope, Send
from switchyard.http.asgi.body import body_pieces, peek, read_body
from switchyard.http.asgi.disconnect import HangUp
from switchyard.http.asgi.relay import relay
from switchyard.http.client import Client, Timeouts, Upload
from switchyard.http.client.errors import UpstreamError, UpstreamTimeoutError
from switchyard.http.headers import CLIENT_TO_TRITON, TRITON_TO_CLIENT
from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError

STREAMED_BYTES = 1024 * 1024  # from here on a body is sent on while it arrives
_LONGEST = 8000  # bytes of one header or of the query: on more Triton's HTTP server hangs up, or never answers


def declared_length(scope: Scope) -> int:
    """The length that a request declares, 0 if it declares none."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


class Forwarding:
    """Sends to the Triton at ``http`` (``host:port``); bodies are bytes and at most ``max_body_bytes`` of them."""

    def __init__(self, client: Client, http: str, *, max_body_bytes: int) -> None:
        self._client = client
        self._origin = f"http://{http}"
        self._limit = max_body_bytes
        self._timeouts = Timeouts(connect=1.0)

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body of a request.

        Raises:
            Refused: 413 it is too large; 408 it did not arrive in time.
            ClientDisconnectedError: the client hung up within it.
        """
        try:
            return await read_body(receive, scope, self._limit)
        except BodyTooLargeError as err:
            raise _too_large(err) from err
        except BodyTooSlowError as err:
            raise Refused(408, str(err)) from err

    async def beginning(self, scope: Scope, receive: Receive, length: int) -> tuple[bytes, Receive]:
        """The first ``length`` bytes of a body, or more, and a ``receive`` that gives all of it.

        Raises:
            Refused: 413 it is too large; 408 they did not arrive in time.
        """
        if declared_length(scope) > self._limit:
            raise _too_large(BodyTooLargeError(self._limit))
        try:
            return await peek(receive, length)
        except BodyTooSlowError as err:
            raise Refused(408, str(err)) from err

    async def forward(self, target: str, scope: Scope, receive: Receive, send: Send, traceparent: str | None) -> None:
        """Reads the body and sends the request on.

        Raises:
            Refused: Triton is away.
        """
        await self.send(target, scope, await self.body(scope, receive), receive, send, traceparent)

    async def stream(self, target: str, scope: Scope, receive: Receive, send: Send, traceparent: str | None) -> None:
        """As ``forward``, but sends the body on while it arrives; its length must be declared.

        Raises:
            Refused: 408 it did not arrive in time; Triton is away.
        """
        sent = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in body_pieces(receive):
                yield piece
            sent.set()

        async def after_the_body() -> Message:
            await sent.wait()
            return await receive()

        upload = Upload(declared_length(scope), pieces())
        try:
            await self.send(target, scope, upload, after_the_body, send, traceparent)
        except BodyTooSlowError as err:
            raise Refused(408, str(err)) from err

    async def send(
        self, target: str, scope: Scope, body: bytes | Upload, receive: Receive, send: Send, traceparent: str | None
    ) -> None:
        """Sends the request on, and the answer back piece by piece; a client that hangs up ends both.

        ``receive`` gives what comes after the body.

        Raises:
            Refused: 431 a header is too long for Triton; Triton is away; the answer has not begun.
            UpstreamError: the answer broke off.
        """
        headers = CLIENT_TO_TRITON.passed(scope["headers"])
        if any(len(name) + len(value) > _LONGEST for name, value in (*headers, (b"", scope["query_string"]))):
            raise Refused(431, f"a header or the query is longer than {_LONGEST} bytes, which Triton does not take")
        if traceparent:
            headers.append((b"traceparent", traceparent.encode()))
        query = scope["query_string"].decode("latin-1")
        url = f"{self._origin}{target}?{query}" if query else self._origin + target
        with HangUp(receive):
            try:
                response = await self._client.request(
                    scope["method"].encode(), url, headers, body, timeouts=self._timeouts
                )
            except UpstreamTimeoutError as err:
                raise Refused(504, f"Triton did not answer in time: {err}") from err
            except UpstreamError as err:
                raise triton_is_away() from err
            try:
                await relay(response, send, TRITON_TO_CLIENT.passed(response.headers))
            finally:
                response.close()


def _too_large(err: BodyTooLargeError) -> Refused:
    return Refused(413, f"{err}; send less, or have MAX_BODY_BYTES raised")
