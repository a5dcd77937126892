"""gRPC calls on HTTP/2 streams: looked at, forwarded as frames, or responded to here."""

from switchyard.http.h2.grpc_call.call import Calls, FastCall, FastHandler, GrpcCall, RpcHandler, Start, passing
from switchyard.http.h2.grpc_call.messages import PREFIX
from switchyard.http.h2.grpc_call.upstream import UpstreamUnavailable

__all__ = [
    "PREFIX",
    "Calls",
    "FastCall",
    "FastHandler",
    "GrpcCall",
    "RpcHandler",
    "Start",
    "UpstreamUnavailable",
    "passing",
]
