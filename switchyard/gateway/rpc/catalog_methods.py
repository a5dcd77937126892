"""The V2 gRPC methods that the gateway answers itself."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from switchyard.catalog import CatalogSource
from switchyard.gateway.lookup import locator, read_catalog
from switchyard.gateway.rpc.calls import identifier, refused
from switchyard.gateway.stages.listing import EXTENSIONS, SERVER, index_entry, knows_itself, server_version
from switchyard.http.api_errors import ApiError
from switchyard.rpc.channels import Channels
from switchyard.rpc.protobuf import read_text, write
from switchyard.rpc.v2 import MODEL_NAME, SERVICE

_READY_SECONDS = 5.0


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
        except ApiError as err:
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
        own = identifier(tuple(context.invocation_metadata() or ()))
        await context.send_initial_metadata((("x-request-id", own),))
        try:
            return await answer(request)
        except ApiError as err:
            refusal = refused(err)
            await context.abort(refusal.code, str(refusal))
        except ValueError as err:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the request is not a V2 message: {err}")
        raise AssertionError("abort raises")

    return handle
