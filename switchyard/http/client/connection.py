"""One connection to an upstream: an ``asyncio.Protocol`` around llhttp that carries one exchange at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from switchyard.http.client.errors import BadAnswer, ClosedEarly, TimedOut, TooLarge, UpstreamError
from switchyard.http.client.limits import Deadlines, Limits
from switchyard.http.client.origin import Origin
from switchyard.http.client.response import Response
from switchyard.http.client.upload import Upload, cut

PIECE = 256 * 1024
_COPIED = 32 * 1024  # a body up to here is cheaper to copy behind its head than to write by itself


class Connection(asyncio.Protocol):
    """Carries exchanges one after the other; ``on_free`` is called when the next may start, ``on_lost`` at its end."""

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        on_free: Callable[["Connection"], None],
        on_lost: Callable[["Connection"], None],
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
        self._reset(head_only=False)

    def _reset(self, *, head_only: bool) -> None:
        self._head_only = head_only
        self._head_done = self._interim = self._complete = self._until_close = False
        self._keep_alive = True
        self._unparsed = 0  # bytes received while the head is incomplete; 0 means that no answer has begun

    @property
    def usable(self) -> bool:
        """Whether a new exchange may start."""
        return self._response is None and self._transport is not None and not self._transport.is_closing()

    # -- the exchange

    async def exchange(
        self, head: bytes, body: bytes | Upload, *, head_only: bool, deadlines: Deadlines, due: float | None
    ) -> Response:
        """Sends a request and returns its answer once the head is complete.

        ``due`` is the loop's time at which all must be over, or None.

        Raises:
            UpstreamError: there is no usable answer.
        """
        if not self.usable:
            raise ClosedEarly("the connection closed while it was idle", retryable=True)
        response = self._response = Response(self._loop, self._limits, self.abort, self._resume_reading)
        self._reset(head_only=head_only)
        self._deadlines, self._total_due, self._mark = deadlines, due, self._loop.time()
        self._arm()
        try:
            if isinstance(body, Upload):
                await self._write_in_pieces(response, head, body.pieces)
            elif len(body) <= PIECE:
                self._write(head, body)
            else:
                await self._write_in_pieces(response, head, cut(body, PIECE))
            while not response.status and not response.ended:
                await response.wait()
        except BaseException:
            response.close()
            raise
        if response.error is not None and not response.status:
            raise response.error
        return response

    def _write(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        if len(body) <= _COPIED:
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])

    async def _write_in_pieces(
        self, response: Response, head: bytes, pieces: AsyncIterator[bytes | memoryview]
    ) -> None:
        """Writes as fast as the upstream reads; stops when it has already refused (an early 413, say)."""
        self._writing = True
        self._write(head, b"")
        async for piece in pieces:
            while self._write_paused and not response.ended and response.status < 400:
                self._drained = self._loop.create_future()
                await self._drained
            if response.ended or response.status >= 400 or self._transport is None:
                return
            self._mark = self._loop.time()  # an answer is due only when all has been sent
            self._transport.write(piece)
        self._writing = False

    def abort(self) -> None:
        """Closes the socket at once; an exchange in progress ends without a further call."""
        self._response = None
        self._disarm()
        if self._transport is not None:
            self._transport.abort()

    def shut(self) -> None:
        """Closes the socket at once and tells a waiting consumer."""
        self._fail(ClosedEarly(f"the connection to {self.origin} was closed here"))

    def _resume_reading(self) -> None:
        if self._read_paused and self._transport is not None:
            self._read_paused = False
            self._mark = self._loop.time()
            self._transport.resume_reading()

    def _fail(self, error: UpstreamError) -> None:
        response = self._response
        self.abort()
        self._wake_writer()
        if response is not None:
            response.end(error)

    def _finish(self) -> None:
        """The answer is complete: hand it over and free or close the connection."""
        response, self._response = self._response, None
        self._disarm()
        assert response is not None
        if self._keep_alive and not self._writing:
            self.idle_since = self._loop.time()
            if self._read_paused:
                self._resume_reading()
            if self._head_only:  # llhttp cannot be told that this answer has no body: start it afresh
                self._parser = HttpResponseParser(self)
            self._on_free(self)
        elif self._transport is not None:
            self._transport.abort()
        response.end()

    # -- deadlines: one timer for each exchange, looked at again when it fires instead of moved at every read

    def _next_due(self) -> tuple[float, str] | None:
        limit = self._deadlines.idle if self._head_done else self._deadlines.first_byte
        what = "sent nothing more for" if self._head_done else "did not begin to answer within"
        due = None if limit is None else (self._mark + limit, f"{what} {limit:g} s")
        if self._total_due is not None and (due is None or self._total_due < due[0]):
            return self._total_due, f"did not finish within {self._deadlines.total:g} s"
        return due

    def _arm(self) -> None:
        due = self._next_due()
        if due is not None:
            self._timer = self._loop.call_at(due[0], self._check_deadline)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_deadline(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._read_paused:
            self._mark = now
        due = self._next_due()
        if due is not None and due[0] <= now:
            self._fail(TimedOut(f"{self.origin} {due[1]}"))
        else:
            self._arm()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # nothing was asked: the upstream has lost count
            self.abort()
            return
        began_in_head = not self._head_done
        if began_in_head:
            self._unparsed += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as err:
            if not self._complete:
                self._fail(BadAnswer(f"{self.origin} broke HTTP/1.1: {err}"))
                return
            self._keep_alive = False
        if began_in_head and not self._head_within_limit(response):
            return
        if self._complete:
            self._finish()
            return
        self._mark = self._loop.time()
        if began_in_head and self._head_done and self._deadlines.idle != self._deadlines.first_byte:
            self._disarm()
            self._arm()
        if response.full and not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()
        response.wake()

    def _head_within_limit(self, response: Response) -> bool:
        limit = self._limits.header_bytes
        if self._unparsed <= limit:
            return True
        if self._head_done and sum(len(name) + len(value) for name, value in response.headers) <= limit:
            return True
        response.status = 0
        self._fail(TooLarge(f"the head of the answer of {self.origin} exceeds {limit} bytes"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._disarm()
        response, self._response = self._response, None
        self._on_lost(self)
        self._wake_writer()
        if response is None:
            return
        if self._head_done and self._until_close and exc is None:
            response.end()
        else:
            when = "within its answer" if self._unparsed else "before it answered"
            response.end(ClosedEarly(f"{self.origin} closed the connection {when}", retryable=not self._unparsed))

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
        if self._complete:  # a second answer to one request
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._response is not None and not self._head_done:  # later ones are trailers
            self._response.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        response = self._response
        if response is None or self._complete:
            return
        status = self._parser.get_status_code()
        if status == 101:
            raise BadAnswer("it switched protocols unasked")
        if status < 200:  # RFC 9110 §15.2: interim, the final answer follows
            response.headers.clear()
            self._interim = True
            return
        if not self._parser.should_keep_alive():
            self._keep_alive = False
            framed = {b"content-length", b"transfer-encoding"}
            self._until_close = not any(name in framed for name, _ in response.headers)
        self._head_done = True
        response.status = status
        self._wake_writer()
        if self._head_only:
            self._complete = True

    def on_body(self, data: bytes) -> None:
        if self._response is not None and not self._complete:
            self._response.feed(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif self._head_done:
            self._complete = True
