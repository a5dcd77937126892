"""gRPC calls on HTTP/2 streams: inspected, forwarded as frames, or responded to here."""

from switchyard.http.h2.grpc_call.call import GrpcCall
from switchyard.http.h2.grpc_call.connection import Calls, forward_to
from switchyard.http.h2.grpc_call.handlers import FastCall, FastHandler, RpcHandler, Start
from switchyard.http.h2.grpc_call.headers import RpcRequest, RpcResponse
from switchyard.http.h2.grpc_call.messages import PREFIX
from switchyard.http.h2.grpc_call.upstream import UpstreamUnavailableError

__all__ = [
    "PREFIX",
    "Calls",
    "FastCall",
    "FastHandler",
    "GrpcCall",
    "RpcHandler",
    "RpcRequest",
    "RpcResponse",
    "Start",
    "UpstreamUnavailableError",
    "forward_to",
]
