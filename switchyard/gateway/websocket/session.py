"""One open WebSocket: its requests run beside each other through the same stages as those of HTTP."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from switchyard.gateway.call import Call, request_id
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.routes.match import Match, Router
from switchyard.gateway.websocket.edge import SocketEdge
from switchyard.gateway.websocket.messages import Cancel, Key, MessageError, Request, error_message, read
from switchyard.http.api_errors import ApiError
from switchyard.http.headers import Header
from switchyard.http.server.websocket.connection import WebSocket

logger = logging.getLogger(__name__)

RESUMED = "/v1/streams/{request_id}"


class Session:
    """Reads messages until the socket closes, and cancels then what is in progress.

    ``credentials`` are headers of each request: a key that is revoked is rejected from the next one on. At most
    ``requests`` are in progress.
    """

    def __init__(
        self,
        socket: WebSocket,
        credentials: Sequence[Header],
        *,
        pipelines: Mapping[str, Proceed],
        router: Router,
        requests: int,
    ) -> None:
        self._socket = socket
        self._credentials = credentials
        self._pipelines = pipelines
        self._router = router
        self._requests = requests
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._time = asyncio.get_running_loop().time

    async def run(self) -> None:
        """Take messages until this task is cancelled."""
        try:
            while True:
                # Who does not read responses sends no more requests either: no message costs memory for its error.
                await self._socket.writable()
                await self._take(await self._socket.receive())
        finally:
            await self._cancel_all()

    async def _take(self, message: bytes) -> None:
        try:
            asked = await read(message)
            if isinstance(asked, Cancel):
                self._cancel(asked.id)
            elif isinstance(asked, Key):
                raise MessageError(None, ApiError("invalid_value", "this socket is open already", param="key"))
            else:
                self._start(asked)
        except MessageError as err:
            self._socket.send(error_message(err.id, err.error))

    def _start(self, asked: Request) -> None:
        if asked.id in self._tasks:
            message = f"there is a request {asked.id} in progress: give each its own id"
            raise MessageError(None, ApiError("invalid_value", message, param="id"))
        try:
            found = self._found(asked)
        except ApiError as err:
            raise MessageError(asked.id, err) from None
        headers = [*self._credentials, *asked.headers]
        fields = dict(headers)
        identifier = request_id(fields.get(b"x-request-id"))
        edge = SocketEdge(self._socket, asked.id, identifier, asked.body, found.route.shape)
        call = Call(
            edge,
            found.route,
            found.params,
            method=asked.method.encode(),
            path=asked.path.encode(errors="replace"),
            query=asked.query,
            headers=headers,
            fields=fields,
            request_id=identifier,
            started=self._time(),
        )
        self._socket.begin_work()
        task = asyncio.ensure_future(self._pipelines[found.route.by](call))
        self._tasks[asked.id] = task
        task.add_done_callback(partial(self._ended, asked.id, edge))

    def _found(self, asked: Request) -> Match:
        if self._socket.leaving:
            raise ApiError("shutting_down", "this gateway is stopping; connect again, and another one responds")
        if len(self._tasks) >= self._requests:
            message = f"this socket has {self._requests} requests in progress; wait for one to end, and try again"
            raise ApiError("too_many_requests", message, retry_after=1)
        found = self._router.match(asked.method, asked.path)
        if isinstance(found, Match):
            route = found.route
            if (route.body == "json" and route.streams) or (asked.method == "GET" and route.path == RESUMED):
                return found
        raise ApiError("not_found", f"{asked.method} {asked.path[:200]} is not served on a WebSocket; use HTTP")

    def _cancel(self, identifier: str) -> None:
        """Cancel a request; one that has ended meanwhile is no error of the client's."""
        task = self._tasks.get(identifier)
        if task is not None and not task.cancelling():
            task.cancel()

    async def _cancel_all(self) -> None:
        running = list(self._tasks.values())
        for identifier in list(self._tasks):
            self._cancel(identifier)
        if running:
            await asyncio.wait(running)

    def _ended(self, identifier: str, edge: SocketEdge, task: "asyncio.Future[None]") -> None:
        del self._tasks[identifier]
        edge.release()
        if task.cancelled():
            edge.cancel()
        elif (error := task.exception()) is not None:
            logger.error("a request of a socket failed", exc_info=error)
            edge.fail(ApiError("internal_error", "the gateway failed; its log has the reason under this request_id"))
        self._socket.end_work()
