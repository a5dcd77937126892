"""One connection to an upstream: an ``asyncio.Protocol`` around llhttp that carries one exchange at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from switchyard.http.client.errors import (
    ConnectionClosedError,
    RemoteProtocolError,
    ResponseTooLargeError,
    UpstreamError,
    UpstreamTimeoutError,
)
from switchyard.http.client.limits import Limits, Timeouts
from switchyard.http.client.origin import Origin
from switchyard.http.client.response import Response
from switchyard.http.client.upload import Upload, chunks_of

_CHUNK = 1024 * 1024
_COPIED = 32 * 1024  # a body up to this size is cheaper to copy behind its headers than to write by itself


class ClientConnection(asyncio.Protocol):
    """Carries exchanges one after the other; calls ``on_free`` when the next may start and ``on_lost`` when closed."""

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        on_free: Callable[["ClientConnection"], None],
        on_lost: Callable[["ClientConnection"], None],
    ) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._limits = limits
        self._on_free = on_free
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = self._read_paused = self._writing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._reset(bodiless=False)

    def _reset(self, *, bodiless: bool) -> None:
        self._bodiless = bodiless
        self._headers_done = self._interim = self._complete = self._until_close = False
        self._keep_alive = True
        self._unparsed = 0  # bytes received before the headers were complete; 0: no byte of a response yet

    @property
    def usable(self) -> bool:
        """Whether a new exchange may start."""
        return self._response is None and self._transport is not None and not self._transport.is_closing()

    # -- the exchange

    async def exchange(
        self, headers: bytes, body: bytes | Upload, *, bodiless: bool, timeouts: Timeouts, deadline: float | None
    ) -> Response:
        """Send a request on a usable connection, and return its response once the headers are complete.

        ``headers`` are the encoded request line and headers; ``deadline`` is the loop time by which the response must
        be complete, or None.

        Raises:
            UpstreamError: there is no usable response.
        """
        response = self._response = Response(self._loop, self._limits, self.abort, self._resume_reading)
        self._reset(bodiless=bodiless)
        self._timeouts, self._total_deadline, self._last_progress = timeouts, deadline, self._loop.time()
        self._start_timer()
        try:
            if isinstance(body, Upload):
                await self._write_in_chunks(response, headers, body.chunks)
            elif len(body) <= _CHUNK:
                self._write(headers, body)
            else:
                await self._write_in_chunks(response, headers, chunks_of(body, _CHUNK))
            while not response.status and not response.ended:
                await response.wait()
        except BaseException:
            response.close()
            raise
        if response.error is not None and not response.status:
            raise response.error
        return response

    def _write(self, headers: bytes, body: bytes) -> None:
        assert self._transport is not None
        if len(body) <= _COPIED:
            self._transport.write(headers + body)
        else:
            self._transport.writelines([headers, body])

    async def _write_in_chunks(
        self, response: Response, headers: bytes, chunks: AsyncIterator[bytes | memoryview]
    ) -> None:
        """Write as fast as the upstream reads; stop when it has already rejected the request (an early 413, say)."""
        self._writing = True
        self._write(headers, b"")
        async for chunk in chunks:
            while self._write_paused and not response.ended and response.status < 400:
                self._drained = self._loop.create_future()
                await self._drained
            if response.ended or response.status >= 400 or self._transport is None:
                return
            self._last_progress = self._loop.time()  # the first-byte timeout starts once the whole request is sent
            self._transport.write(chunk)
        self._writing = False

    def abort(self) -> None:
        """Close the socket at once; an exchange in progress ends without a further call."""
        self._response = None
        self._cancel_timer()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the socket at once and raise ``ConnectionClosedError`` in a waiting consumer."""
        self._fail(ConnectionClosedError(f"the connection to {self.origin} was closed by this process"))

    def _resume_reading(self) -> None:
        if self._read_paused and self._transport is not None:
            self._read_paused = False
            self._last_progress = self._loop.time()
            self._transport.resume_reading()

    def _fail(self, error: UpstreamError) -> None:
        response = self._response
        self.abort()
        self._wake_writer()
        if response is not None:
            response.end(error)

    def _finish(self) -> None:
        """End the complete response; return the connection to the pool or close it."""
        response, self._response = self._response, None
        assert response is not None
        if self._keep_alive and not self._writing:
            self.idle_since = self._loop.time()
            if self._read_paused:
                self._resume_reading()
            if self._bodiless:  # llhttp still waits for this response's body: start a new parser
                self._parser = HttpResponseParser(self)
            self._on_free(self)
        elif self._transport is not None:
            self._transport.abort()
        response.end()

    # -- timeouts: one timer per connection, which looks when it fires at what is due; moving it with every exchange or
    # read would cost more

    def _deadline(self) -> float | None:
        limit = self._timeouts.idle if self._headers_done else self._timeouts.first_byte
        deadline = None if limit is None else self._last_progress + limit
        if self._total_deadline is not None and (deadline is None or self._total_deadline < deadline):
            return self._total_deadline
        return deadline

    def _start_timer(self) -> None:
        deadline = self._deadline()
        if deadline is None or (self._timer is not None and self._timer_at <= deadline):
            return
        self._cancel_timer()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._check_deadline)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_deadline(self) -> None:
        self._timer = None
        if self._response is None:
            return
        now = self._loop.time()
        if self._read_paused:
            self._last_progress = now
        deadline = self._deadline()
        if deadline is not None and deadline <= now:
            self._fail(UpstreamTimeoutError(f"{self.origin} {self._what_passed(deadline)}"))
        else:
            self._start_timer()

    def _what_passed(self, deadline: float) -> str:
        if deadline == self._total_deadline:
            return f"did not finish its response within {self._timeouts.total:g} s"
        if self._headers_done:
            return f"sent no data for {self._timeouts.idle:g} s"
        return f"did not respond within {self._timeouts.first_byte:g} s"

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # bytes without a request: the upstream is out of step
            self.abort()
            return
        began_in_headers = not self._headers_done
        if began_in_headers:
            self._unparsed += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as err:
            if not self._complete:
                self._fail(RemoteProtocolError(f"{self.origin} violated HTTP/1.1: {err}"))
                return
            self._keep_alive = False
        if began_in_headers and self._unparsed > self._limits.header_bytes and self._rejects_headers(response):
            return
        if self._complete:
            self._finish()
            return
        self._last_progress = self._loop.time()
        if began_in_headers and self._headers_done and self._timeouts.idle != self._timeouts.first_byte:
            self._start_timer()
        if response.full and not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()
        response.wake()

    def _rejects_headers(self, response: Response) -> bool:
        """End the response if these bytes are its headers, and not a body that came with them."""
        limit = self._limits.header_bytes
        if self._headers_done and sum(len(name) + len(value) for name, value in response.headers) <= limit:
            return False
        response.status = 0
        self._fail(ResponseTooLargeError(f"the response headers of {self.origin} exceed {limit} bytes"))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._cancel_timer()
        response, self._response = self._response, None
        self._on_lost(self)
        self._wake_writer()
        if response is None:
            return
        if self._headers_done and self._until_close and exc is None:
            response.end()
        else:
            when = "within its response" if self._unparsed else "before it responded"
            response.end(
                ConnectionClosedError(f"{self.origin} closed the connection {when}", retryable=not self._unparsed)
            )

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._wake_writer()

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # -- llhttp

    def on_message_begin(self) -> None:
        if self._complete:  # a second response to one request
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._response is not None and not self._headers_done:  # later ones are trailers
            self._response.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        response = self._response
        if response is None or self._complete:
            return
        status = self._parser.get_status_code()
        if status == 101 or not 100 <= status <= 599:  # RFC 9110 §15: other codes are invalid
            raise RemoteProtocolError(f"status {status}, which nobody asked for")
        if status < 200:  # RFC 9110 §15.2: interim; the final response follows
            response.headers.clear()
            self._interim = True
            return
        if not self._parser.should_keep_alive():
            self._keep_alive = False
            framed = {b"content-length", b"transfer-encoding"}
            self._until_close = not any(name in framed for name, _ in response.headers)
        self._headers_done = True
        response.status = status
        self._wake_writer()
        if self._bodiless:
            self._complete = True

    def on_body(self, data: bytes) -> None:
        if self._response is not None and not self._complete:
            self._response.feed(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif self._headers_done:
            self._complete = True
