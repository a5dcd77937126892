"""Stage of the V2 gRPC methods that the catalog can answer; none of them wakes a model.

Messages and field numbers: KServe's and Triton's ``grpc_predict_v2.proto``.
"""

from collections.abc import Callable

from switchyard.catalog import Catalog
from switchyard.gateway.call import Call
from switchyard.gateway.edges.rpc import RpcEdge
from switchyard.gateway.lookup import Locate, Visible, has_version, is_unserved
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.stages.endpoints.listing import EXTENSIONS, SERVER, index_entries, server_version
from switchyard.gateway.upstream.repositories import Repositories, knows_itself
from switchyard.gateway.upstream.retries import UpstreamRetries
from switchyard.http.api_errors import ApiError
from switchyard.rpc.protobuf import read_text, write
from switchyard.rpc.v2 import MODEL_VERSION

_READY = write(1, True)
_NOT_READY = write(1, False)


def rpc_listing(*, visible: Visible, repositories: Repositories, locate: Locate, upstream: UpstreamRetries) -> Stage:
    """Respond to health, metadata and the index from the catalog, to readiness from the model's server if it knows."""
    messages: dict[str, Callable[[], bytes]] = {
        "ServerLive": lambda: _READY,
        "ServerReady": lambda: _server_ready(visible),
        "ServerMetadata": _server_metadata,
    }

    async def stage(call: Call, proceed: Proceed) -> None:
        message = messages.get(call.route.rpc)
        if message is not None:
            call.edge.respond(200, [], message())
        elif call.route.rpc == "RepositoryIndex":
            call.edge.respond(200, [], _index(await repositories.current(visible.to(call.identity))))
        elif _server_must_say(call, locate):
            assert isinstance(call.edge, RpcEdge)
            await upstream.forward(call, call.edge.forward)
        else:
            call.edge.respond(200, [], _READY if _is_ready(call) else _NOT_READY)

    return stage


def _server_must_say(call: Call, locate: Locate) -> bool:
    """Return whether the model's server knows if it is ready, and not the catalog; set ``call.model``."""
    try:
        model = call.model = locate(call.model_name, call.identity)
    except ApiError as err:
        # Such a model is known and not ready, which a boolean can say; over HTTP it is a 503 with the reason.
        if err.code not in ("model_failed", "model_not_ready"):
            raise
        return False
    return knows_itself(model) and bool(model.grpc)


def _server_ready(visible: Visible) -> bytes:
    visible.to(None)  # one that cannot be read is an error with its reason, as over HTTP
    return _READY


def _is_ready(call: Call) -> bool:
    model = call.model
    if model is None or is_unserved(model):
        return False
    try:
        return has_version(model, read_text(call.body, MODEL_VERSION))
    except ValueError as err:
        raise ApiError("invalid_value", f"the request is not a V2 message: {err}") from err


def _server_metadata() -> bytes:
    extensions = b"".join(write(3, extension) for extension in EXTENSIONS)
    return write(1, SERVER) + write(2, server_version()) + extensions


def _index(catalog: Catalog) -> bytes:
    entries = index_entries(catalog)
    fields = ("name", "version", "state", "reason")  # in the order of their numbers
    return b"".join(
        write(1, b"".join(write(number, entry[name]) for number, name in enumerate(fields, 1))) for entry in entries
    )
