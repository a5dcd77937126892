"""Stage: forwards a gRPC call to its model, frame by frame."""

from switchyard.gateway.call import Call
from switchyard.gateway.edges.rpc import RpcEdge
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.upstream.retries import UpstreamRetries
from switchyard.http.api_errors import ApiError
from switchyard.rpc.status import RpcStatus, to_http


def rpc_forward(*, upstream: UpstreamRetries) -> Stage:
    """Forward the call, and retry while the model cannot be reached and has sent no response."""

    async def stage(call: Call, proceed: Proceed) -> None:
        model, edge = call.model, call.edge
        assert model is not None
        assert isinstance(edge, RpcEdge)
        if not model.grpc:
            instead = "HTTP" if model.kind == "graph" else "V2 over HTTP"
            raise ApiError("not_implemented", f"model {model.name} serves no gRPC; use {instead}")
        if (settle := call.settle) is not None:

            async def ended(status: RpcStatus) -> None:
                call.status = to_http(status)
                await settle()

            edge.before_end(ended)
        await upstream.forward(call, edge.forward)

    return stage
