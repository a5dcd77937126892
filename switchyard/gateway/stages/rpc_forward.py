"""Stage: forwards a gRPC call to its model, frame by frame."""

import asyncio
from functools import partial

from switchyard.gateway.call import Call
from switchyard.gateway.edges.rpc import RpcEdge
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.upstream.retries import UpstreamRetries
from switchyard.gateway.usage.rpc_counting import count, count_part
from switchyard.http.api_errors import ApiError
from switchyard.http.h2.grpc_call import RpcResponse


def rpc_forward(*, upstream: UpstreamRetries) -> Stage:
    """Forward the call, and retry while the model cannot be reached and has sent no response."""

    async def stage(call: Call, proceed: Proceed) -> None:
        model, edge = call.model, call.edge
        assert model is not None
        assert isinstance(edge, RpcEdge)
        if not model.grpc:
            instead = "HTTP" if model.kind == "graph" else "V2 over HTTP"
            raise ApiError("not_implemented", f"model {model.name} serves no gRPC; use {instead}")
        settle = call.settle
        if settle is None and not call.message_checks:
            await upstream.forward(call, edge.forward)
            return

        async def ended(trailers: RpcResponse) -> None:
            count(call, trailers, *edge.forwarded)
            if settle is not None:
                await settle()

        edge.before_end(ended)
        if call.message_checks:
            edge.check_messages(partial(_check_message, call))
        try:
            await upstream.forward(call, edge.forward)
        except asyncio.CancelledError:
            count_part(call, *edge.forwarded)
            raise
        if not call.status:  # the target was lost during its response, and the client has an error in place of the rest
            call.status = 503

    return stage


async def _check_message(call: Call) -> None:
    for check in call.message_checks:
        await check()
    call.messages += 1
