"""Cancelling work whose client has disconnected."""

import asyncio
from types import TracebackType

from switchyard.http.asgi import Receive
from switchyard.http.request_errors import ClientDisconnectedError


class HangUp:
    """Cancels the body of its ``with`` statement when the client disconnects, and raises ``ClientDisconnectedError``.

    The request must have been read to its end. As ``asyncio.timeout`` does, it cancels the task around it, so that
    whatever that is waiting for ends: a connection, an answer, a pause before a repeat.
    """

    __slots__ = ("_gone", "_receive", "_task", "_watch")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False

    def __enter__(self) -> "HangUp":
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._watch = asyncio.create_task(self._wait_for_disconnect())
        return self

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._watch.cancel()
        if self._gone and self._task.uncancel() == 0 and (kind is None or kind is asyncio.CancelledError):
            raise ClientDisconnectedError from None
