"""V2 gRPC: what the gateway answers itself, and the calls that go to a model."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from switchyard.catalog import CatalogSource
from switchyard.gateway.context import request_id
from switchyard.gateway.errors import GatewayError
from switchyard.gateway.listing import EXTENSIONS, SERVER, index_entry, knows_itself, server_version
from switchyard.gateway.meter import UNKNOWN, Meter
from switchyard.gateway.resolve import Locate, locator, read_catalog
from switchyard.http.grpc_forward import (
    MODEL_NAME,
    SERVICE,
    Channels,
    Enter,
    Forwarder,
    Metadata,
    Passage,
    Refused,
    Resolve,
    forwarded,
)
from switchyard.http.wire import read_text, write

_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}

_READY_SECONDS = 5.0


def _refused(err: GatewayError) -> Refused:
    return Refused(_STATUS.get(err.status, grpc.StatusCode.INTERNAL), err.message)


def targets(locate: Locate) -> Resolve:
    """Where the gRPC service of a model listens."""

    async def resolve(name: str) -> str:
        try:
            model = locate(name)
        except GatewayError as err:
            raise _refused(err) from err
        if not model.grpc:
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"model {name} serves no gRPC; use V2 over HTTP")
        return model.grpc

    return resolve


def repositories(locate: Locate) -> Resolve:
    """Where a model is loaded and unloaded on request: only those of a repository; others wake and sleep."""
    resolve = targets(locate)

    async def only_vision(name: str) -> str:
        target = await resolve(name)
        if (kind := locate(name).kind) != "vision":
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"model {name} is of kind {kind}; it wakes when asked and sleeps when idle, without load and unload",
            )
        return target

    return only_vision


def _identifier(metadata: Metadata) -> str:
    given = next((value for key, value in metadata if key == "x-request-id"), None)
    return request_id(given.encode() if isinstance(given, str) else None).decode()


def passages(meter: Meter) -> Enter:
    """Gives every call its request id and counts it."""

    def enter(method: str, metadata: Metadata) -> Passage:
        identifier, started = ("x-request-id", _identifier(metadata)), time.monotonic()
        upstream = [(key, value) for key, value in forwarded(metadata) if key != "x-request-id"]

        def done(model: str, code: grpc.StatusCode) -> None:
            # A name that was not found is free text; it must not become a label.
            known = UNKNOWN if not model or code is grpc.StatusCode.NOT_FOUND else model
            meter.done(known, "grpc " + method, code.name, time.monotonic() - started)

        return Passage(upstream=[*upstream, identifier], initial=(identifier,), done=done)

    return enter


class OwnMethods(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Health, metadata, readiness and the repository index, from the catalog or the model's server; wakes nothing.

    Messages and field numbers: KServe's and Triton's ``grpc_predict_v2.proto``.
    """

    NAMES = ("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "RepositoryIndex")

    def __init__(self, source: CatalogSource, channels: Channels) -> None:
        self._source = source
        self._channels = channels
        self._locate = locator(source)
        answers: tuple[Callable[[bytes], Awaitable[bytes]], ...] = (
            *(_server_live, self._server_ready, _server_metadata),
            *(self._model_ready, self._index),
        )
        self._handlers = {
            f"/{SERVICE}/{name}": grpc.unary_unary_rpc_method_handler(_own(answer))
            for name, answer in zip(self.NAMES, answers, strict=True)
        }

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method)

    async def _server_ready(self, request: bytes) -> bytes:
        read_catalog(self._source)
        return write(1, True)

    async def _model_ready(self, request: bytes) -> bytes:
        try:
            model = self._locate(read_text(request, MODEL_NAME))
        except GatewayError as err:
            if err.code != "model_failed":
                raise
            return write(1, False)
        if not (knows_itself(model) and model.grpc):
            return write(1, True)
        channel = await self._channels.get(model.grpc)
        try:
            answer: bytes = await channel.unary_unary(f"/{SERVICE}/ModelReady")(request, timeout=_READY_SECONDS)
        except grpc.aio.AioRpcError:
            return write(1, False)
        return answer

    async def _index(self, request: bytes) -> bytes:
        entries = map(index_entry, read_catalog(self._source).models.values())
        fields = ("name", "version", "state", "reason")  # in the order of their numbers
        return b"".join(
            write(1, b"".join(write(number, entry[name]) for number, name in enumerate(fields, 1))) for entry in entries
        )


async def _server_live(request: bytes) -> bytes:
    return write(1, True)


async def _server_metadata(request: bytes) -> bytes:
    extensions = b"".join(write(3, extension) for extension in EXTENSIONS)
    return write(1, SERVER) + write(2, server_version()) + extensions


def _own(answer: Callable[[bytes], Awaitable[bytes]]) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def handle(request: bytes, context: Any) -> bytes:
        identifier = _identifier(tuple(context.invocation_metadata() or ()))
        await context.send_initial_metadata((("x-request-id", identifier),))
        try:
            return await answer(request)
        except GatewayError as err:
            refused = _refused(err)
            await context.abort(refused.code, str(refused))
        except ValueError as err:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the request is not a V2 message: {err}")
        raise AssertionError("abort raises")

    return handle


def serve(source: CatalogSource, channels: Channels, meter: Meter, address: str, message_bytes: int) -> Any:
    """A gRPC server on ``address`` that is yet to be started, and the port that it has bound.

    Raises:
        OSError: the port cannot be bound.
    """
    options = [
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options)
    locate = locator(source)
    forwarder = Forwarder(targets(locate), channels, passages(meter), repository=repositories(locate))
    server.add_generic_rpc_handlers((OwnMethods(source, channels), forwarder))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as err:
        raise OSError(f"gRPC cannot listen on {address}; is another process using it?") from err
    return server, port
