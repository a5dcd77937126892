"""Request logs behind the gateway: the ids on all lines of a request, and a line of it where the gateway asks."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from time import perf_counter

from switchyard.http.h2.grpc_call import GrpcCall, RpcHandler
from switchyard.http.headers import KEY_ID, LOG, TENANT
from switchyard.http.server import Exchange, Handler
from switchyard.rpc.status import RpcError, RpcStatus
from switchyard.telemetry import logs

logger = logging.getLogger(__name__)

About = Callable[[Exchange | GrpcCall], Mapping[str, str]]

_LONGEST = 128  # characters of an id; the gateway's are shorter, and who reaches a model without it sends any


def _nothing(_: Exchange | GrpcCall) -> Mapping[str, str]:
    return {}


def begin(fields: Mapping[bytes, bytes]) -> bool:
    """Give the lines of this task the ids of a request; return whether the gateway asks for a line of it.

    Call it behind the gateway only, which lets no client's own headers of these names pass.
    """
    logs.begin_request(
        request=_text(fields, b"x-request-id"),
        traceparent=_text(fields, b"traceparent"),
        of_tenant=_text(fields, TENANT),
        of_key=_text(fields, KEY_ID),
    )
    return LOG in fields


def of_metadata(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[bytes, bytes]:
    """Return the metadata of a call of gRPC's library as fields."""
    return {
        name.encode(): value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        for name, value in metadata or ()
    }


def logged(handler: Handler, about: About = _nothing) -> Handler:
    """Wrap a handler of HTTP; ``about`` returns what else the line says."""

    async def handle(exchange: Exchange) -> None:
        if not begin(exchange.fields):
            await handler(exchange)
            return
        began, error = perf_counter(), None
        try:
            await handler(exchange)
        except BaseException as err:
            error = _code(err)
            raise
        finally:
            _log(exchange.status, began, error, about(exchange))

    return handle


def logged_calls(handler: RpcHandler, about: About = _nothing) -> RpcHandler:
    """Wrap a handler of gRPC; ``about`` returns what else the line says."""

    async def handle(call: GrpcCall) -> None:
        if not begin(call.fields):
            await handler(call)
            return
        began, error = perf_counter(), None
        try:
            await handler(call)
        except BaseException as err:
            error = _code(err)
            raise
        finally:
            _log(None if call.status is None else call.status.name, began, error, about(call))

    return handle


class CallLine:
    """The line of a call that has no task of its own: what is to log with its ids is run by ``run``."""

    __slots__ = ("_began", "_context", "_wanted")

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self._began = perf_counter()
        self._context = Context()
        self._wanted: bool = self._context.run(begin, fields)

    def run(self, work: Callable[[str], None], text: str) -> None:
        """Call ``work`` with ``text``; what it logs has the call's ids."""
        self._context.run(work, text)

    def end(self, status: RpcStatus) -> None:
        """Write the line, if the gateway asked for one."""
        if self._wanted:
            self._context.run(_log, status.name, self._began, None, {})


def _log(status: int | str | None, began: float, error: str | None, about: Mapping[str, str]) -> None:
    seconds = round(perf_counter() - began, 4)
    logger.info("responded", extra={**about, "status": status, "seconds": seconds, "error": error})


def _code(err: BaseException) -> str:
    if isinstance(err, asyncio.CancelledError):
        return "cancelled"
    if isinstance(err, RpcError):
        return err.status.name
    return str(getattr(err, "code", "")) or type(err).__name__


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str:
    value = fields.get(name)
    return value[:_LONGEST].decode("utf-8", "replace") if value is not None else ""
