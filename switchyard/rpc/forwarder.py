"""V2 gRPC passed through as bytes: nothing is deserialized, only the model's name is read from a request.

Every V2 predictor serves ``inference.GRPCInferenceService``; names and field numbers are those of KServe's and Triton's
``grpc_predict_v2.proto``. Loading and unloading are forwarded only where ``repository`` says whose models may be.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from switchyard.rpc.channels import Channels
from switchyard.rpc.metadata import Metadata, forwarded
from switchyard.rpc.v2 import REPOSITORY, SERVICE, STREAMS, UNARY, name_of

Resolve = Callable[[str], Awaitable[str]]


class Refused(Exception):
    """A call that is not forwarded: a gRPC status and a sentence for the caller."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(kw_only=True, slots=True)
class Passage:
    """What a call carries besides its messages: metadata upstream, initial metadata back, and who hears of its end."""

    upstream: Metadata
    initial: Metadata = ()
    done: Callable[[str, grpc.StatusCode], None] = field(default=lambda model, code: None)


Enter = Callable[[str, Metadata], Passage]


def _enter(method: str, metadata: Metadata) -> Passage:
    return Passage(upstream=forwarded(metadata))


class Forwarder(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The generic handler of the methods above; ``resolve`` names the ``host:port`` that serves a model.

    ``resolve`` raises ``Refused`` for a model that is not served, ``repository`` for one that clients may not load and
    unload. All messages of one stream go where the model that its first message names is served.
    """

    def __init__(
        self, resolve: Resolve, channels: Channels, enter: Enter = _enter, repository: Resolve | None = None
    ) -> None:
        self._channels = channels
        self._enter = enter
        unary = dict.fromkeys(UNARY, resolve) | (dict.fromkeys(REPOSITORY, repository) if repository else {})
        self._handlers = {
            f"/{SERVICE}/{name}": grpc.unary_unary_rpc_method_handler(self._unary(name, where))
            for name, where in unary.items()
        } | {
            f"/{SERVICE}/{name}": grpc.stream_stream_rpc_method_handler(self._stream(name, resolve)) for name in STREAMS
        }

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method)

    async def _target(self, name: str, request: bytes, resolve: Resolve) -> tuple[str, Any]:
        try:
            model = name_of(name, request)
        except ValueError as err:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"the request is not a V2 message: {err}") from err
        if not model:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "the request names no model")
        return model, await self._channels.get(await resolve(model))

    def _unary(self, name: str, resolve: Resolve) -> Callable[[bytes, Any], Awaitable[bytes]]:
        path = f"/{SERVICE}/{name}"

        async def handle(request: bytes, context: Any) -> bytes:
            call_state = _Call(self._enter(name, tuple(context.invocation_metadata() or ())), context)
            async with call_state:
                call_state.model, channel = await self._target(name, request, resolve)
                call = channel.unary_unary(path)(
                    request, timeout=context.time_remaining(), metadata=tuple(call_state.passage.upstream)
                )
                await call_state.follow(call)
                answer: bytes = await call
                context.set_trailing_metadata(tuple(await call.trailing_metadata()))
                return answer
            raise AssertionError("abort raises")

        return handle

    def _stream(self, name: str, resolve: Resolve) -> Callable[[AsyncIterator[bytes], Any], AsyncIterator[bytes]]:
        path = f"/{SERVICE}/{name}"

        async def handle(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            call_state = _Call(self._enter(name, tuple(context.invocation_metadata() or ())), context)
            async with call_state:
                first = await anext(aiter(requests), None)
                if first is None:
                    return
                call_state.model, channel = await self._target(name, first, resolve)
                call = channel.stream_stream(path)(
                    _with_first(first, requests),
                    timeout=context.time_remaining(),
                    metadata=tuple(call_state.passage.upstream),
                )
                await call_state.follow(call)
                async for answer in call:
                    yield answer
                context.set_trailing_metadata(tuple(await call.trailing_metadata()))

        return handle


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for request in rest:
        yield request


class _Call:
    """Turns what ends a call into its status here, and cancels upstream when the caller leaves."""

    def __init__(self, passage: Passage, context: Any) -> None:
        self.passage = passage
        self.model = ""
        self._context = context
        self._call: Any = None
        self._answered = False

    async def __aenter__(self) -> "_Call":
        return self

    async def follow(self, call: Any) -> None:
        """Passes the initial metadata of ``call`` back as soon as it is there."""
        self._call = call
        await self._send_initial(await call.initial_metadata())

    async def _send_initial(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
        own = {key for key, _ in self.passage.initial}
        passed = [(key, value) for key, value in metadata or () if key not in own]
        self._answered = True
        await self._context.send_initial_metadata((*self.passage.initial, *passed))

    async def __aexit__(self, kind: Any, err: BaseException | None, tb: Any) -> None:
        code, details, trailing = grpc.StatusCode.OK, "", ()
        if isinstance(err, Refused):
            code, details = err.code, str(err)
        elif isinstance(err, grpc.aio.AioRpcError):
            code, details, trailing = err.code(), err.details() or "", tuple(err.trailing_metadata() or ())
        elif err is not None:
            left = isinstance(err, (asyncio.CancelledError, GeneratorExit))
            code = grpc.StatusCode.CANCELLED if left else grpc.StatusCode.UNKNOWN
            if self._call is not None:
                self._call.cancel()
        self.passage.done(self.model, code)
        if isinstance(err, (Refused, grpc.aio.AioRpcError)):
            if not self._answered:
                await self._send_initial(())
            await self._context.abort(code, details, trailing)
