"""``grpc.health.v1.Health``: whether a port serves, for probes and for clients that balance load.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from switchyard.rpc import v2
from switchyard.rpc.protobuf import read_text, write
from switchyard.rpc.status import Field, RpcError, RpcStatus

SERVICE: Final = "grpc.health.v1.Health"
CHECK, WATCH = f"/{SERVICE}/Check", f"/{SERVICE}/Watch"
PATHS: Final = frozenset((CHECK, WATCH))

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3

_NAME, _STATUS = 1, 1  # the fields of request and response
_REQUEST_BYTES = 1024
_CHECK_SECONDS = 1.0  # between checks of the status while a client watches it

# Services whose health can be checked; the empty name means the server as a whole.
_SERVICES = frozenset(("", SERVICE, v2.SERVICE))


class HealthCall(Protocol):
    """What ``Health`` needs of a call."""

    path: str

    async def first_message(self, limit: int, peek: int | None = None) -> bytes: ...
    def respond(self, message: bytes) -> None: ...
    def send(self, message: bytes) -> None: ...
    def finish(self, status: RpcStatus = ..., message: str = ..., metadata: Sequence[Field] = ...) -> None: ...


C = TypeVar("C", bound=HealthCall)


class Health:
    """Responds to the calls of ``PATHS``; calls ``serving`` each time."""

    def __init__(self, serving: Callable[[], bool]) -> None:
        self._serving = serving

    async def __call__(self, call: HealthCall) -> None:
        """Respond with the status, and to a watcher with each change.

        A watch ends when the server stops to serve, so that a server that drains waits for no watcher.

        Raises:
            RpcError: NOT_FOUND, there is no such service here; the request cannot be read.
        """
        name = _service(await call.first_message(_REQUEST_BYTES))
        if call.path == WATCH:
            await self._watch(call, known=name in _SERVICES)
        elif name in _SERVICES:
            call.respond(write(_STATUS, SERVING if self._serving() else NOT_SERVING))
        else:
            raise RpcError(RpcStatus.NOT_FOUND, f"no service {name!r} is served here")

    async def _watch(self, call: HealthCall, *, known: bool) -> None:
        if known and self._serving():
            call.send(write(_STATUS, SERVING))
            while self._serving():  # noqa: ASYNC110  (nothing announces a change)
                await asyncio.sleep(_CHECK_SECONDS)
        call.send(write(_STATUS, NOT_SERVING if known else SERVICE_UNKNOWN))
        call.finish()


def with_health(health: Health, handler: Callable[[C], Awaitable[None]]) -> Callable[[C], Awaitable[None]]:
    """Return a handler of all calls: ``health`` for those about health, ``handler`` for the rest."""

    async def handle(call: C) -> None:
        await (health(call) if call.path in PATHS else handler(call))

    return handle


def _service(request: bytes) -> str:
    try:
        return read_text(request, _NAME)
    except ValueError as err:
        raise RpcError(RpcStatus.INVALID_ARGUMENT, f"the request is not a HealthCheckRequest: {err}") from err
