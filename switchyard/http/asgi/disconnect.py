"""Cancelling work whose client has disconnected."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from switchyard.http.asgi import Receive
from switchyard.http.request_errors import ClientDisconnectedError


@contextmanager
def cancel_on_disconnect(receive: Receive) -> Iterator[None]:
    """Cancel the block when the client disconnects, as ``asyncio.timeout`` does when its time is over.

    The request's body must have been read to its end. Cancelling the task ends whatever the block waits for: a
    connection, a response, a pause before a retry.

    Raises:
        ClientDisconnectedError: the client disconnected.
    """
    task = asyncio.current_task()
    assert task is not None
    disconnected = False

    async def watch() -> None:
        nonlocal disconnected
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if disconnected and task.uncancel() == 0:  # else the server is stopping too, and that counts more
            raise ClientDisconnectedError from None
        raise
    else:
        if disconnected and task.uncancel() == 0:  # the block ended in the same turn of the event loop
            raise ClientDisconnectedError
    finally:
        watcher.cancel()
