"""gRPC calls on HTTP/2 streams: inspected, forwarded as frames, or responded to here."""

from switchyard.http.h2.grpc_call.call import Calls, FastCall, FastHandler, GrpcCall, RpcHandler, Start, forward_to
from switchyard.http.h2.grpc_call.messages import PREFIX
from switchyard.http.h2.grpc_call.upstream import UpstreamUnavailableError

__all__ = [
    "PREFIX",
    "Calls",
    "FastCall",
    "FastHandler",
    "GrpcCall",
    "RpcHandler",
    "Start",
    "UpstreamUnavailableError",
    "forward_to",
]
