"""Stage: forwards a gRPC call to its model, frame by frame."""

import asyncio
from functools import partial

from switchyard.gateway.call import Call
from switchyard.gateway.edges.rpc import RpcEdge
from switchyard.gateway.meter import Meter
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.routes.table import CHATTING
from switchyard.gateway.upstream.message_watch import MessageWatch
from switchyard.gateway.upstream.retries import UpstreamRetries
from switchyard.gateway.upstream.timing import Timing
from switchyard.gateway.usage.rpc_counting import count, count_part
from switchyard.http.api_errors import ApiError
from switchyard.http.h2.grpc_call import RpcResponse
from switchyard.rpc.v2 import STREAMS


def rpc_forward(*, upstream: UpstreamRetries, meter: Meter) -> Stage:
    """Forward the call, and retry while the model cannot be reached and has sent no response."""
    time = asyncio.get_running_loop().time

    async def stage(call: Call, proceed: Proceed) -> None:
        model, edge = call.model, call.edge
        assert model is not None
        assert isinstance(edge, RpcEdge)
        if not model.grpc:
            instead = "HTTP" if model.kind == "graph" else "V2 over HTTP"
            raise ApiError("not_implemented", f"model {model.name} serves no gRPC; use {instead}")
        streams = call.route.rpc in STREAMS
        # A client may open a stream long before it asks anything.
        since = edge.message_at if streams else None
        timing = Timing(call, meter, time, streams=streams and model.kind in CHATTING, since=since)
        edge.watch(MessageWatch(call, timing.began, streams=streams))
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
