"""Lets each message of a call after the first wait until somebody has allowed it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from switchyard.http.api_errors import ApiError
from switchyard.http.h2.grpc_call.handlers import Start
from switchyard.http.h2.grpc_call.messages import PREFIX, Received

logger = logging.getLogger(__name__)


class MessageGate:
    """Awaits ``check`` before each message after the first, the beginning of which has been ``received``.

    ``take(chunk, end)`` gets what may pass; what waits is not acknowledged to the client, so its flow-control window
    bounds it. An ``ApiError`` that ``check`` raises ends what the client may send, and not what its messages before
    began: it is ``error`` from then on, and ``discard(size)`` gets what else arrives.
    """

    __slots__ = (
        *("_check", "_discard", "_end", "_held", "_left", "_open", "_prefix", "_start", "_take", "_task"),
        "error",
    )

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        take: Callable[[bytes, bool], None],
        discard: Callable[[int], None],
        start: Start,
        received: Received,
    ) -> None:
        self._check = check
        self._take = take
        self._discard = discard
        self._start = start
        self._left = 0  # bytes of the current message
        self._open = False  # whether the next message may pass
        self._prefix = b""
        self._held = bytearray()
        self._end = False
        self._task: asyncio.Task[None] | None = None
        self.error: ApiError | None = None
        self._hold_back(received)

    def feed(self, chunk: bytes, end: bool) -> None:
        """Take the next bytes of the call."""
        if self.error is not None:
            self._discard(len(chunk))
            return
        self._held += chunk
        self._end = end
        if self._task is None:
            self._go_on()

    def close(self) -> None:
        """Let nothing pass any more: the call is over."""
        if self._task is not None:
            self._task.cancel()

    def _hold_back(self, received: Received) -> None:
        """Take what is not of the first message."""
        data = received.joined()
        first = PREFIX + int.from_bytes(data[1:PREFIX], "big")
        if len(data) <= first:
            self._left = first - len(data)
            return
        received.chunks, received.size = [data[:first]], first
        end, received.complete = received.complete, False
        self.feed(data[first:], end)

    def _go_on(self) -> None:
        out = bytearray()
        while self._held and (self._left or self._open):
            size = self._left or PREFIX - len(self._prefix)
            part = bytes(self._held[:size])
            del self._held[:size]
            out += part
            if self._left:
                self._left -= len(part)
                continue
            self._prefix += part
            if len(self._prefix) == PREFIX:
                self._left, self._prefix = int.from_bytes(self._prefix[1:], "big"), b""
                self._open = False
        last = self._end and not self._held
        if out or last:
            self._take(bytes(out), last)
        if self._held:
            self._task = self._start(self._ask())

    async def _ask(self) -> None:
        try:
            await self._check()
        except ApiError as err:
            self._deny(err)
        except Exception:  # the task's outermost frame
            logger.exception("a message of a gRPC stream could not be checked")
            self._deny(ApiError("internal_error", "internal error; the reason is in the service's log"))
        else:
            self._task = None
            self._open = True
            self._go_on()

    def _deny(self, error: ApiError) -> None:
        self._task, self.error = None, error
        size = len(self._held)
        self._held.clear()
        self._take(b"", True)
        self._discard(size)
