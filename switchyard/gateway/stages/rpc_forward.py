"""Stage: hands a gRPC call on to its model, frame by frame."""

from switchyard.gateway.call import Call
from switchyard.gateway.edges.rpc import RpcEdge
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.upstream.retries import UpstreamRetries
from switchyard.http.api_errors import ApiError


def rpc_forward(*, upstream: UpstreamRetries) -> Stage:
    """A call whose model cannot be reached is tried again as long as nothing of a response was seen."""

    async def stage(call: Call, proceed: Proceed) -> None:
        model, edge = call.model, call.edge
        assert model is not None
        assert isinstance(edge, RpcEdge)
        if not model.grpc:
            instead = "HTTP" if model.kind == "graph" else "V2 over HTTP"
            raise ApiError("not_implemented", f"model {model.name} serves no gRPC; use {instead}")
        await upstream.forward(call, edge.forward)

    return stage
