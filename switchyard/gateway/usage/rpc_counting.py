"""What a gRPC call used: its trailers say it, and else it is estimated, as of HTTP's responses."""

from switchyard.gateway.call import Call, Usage
from switchyard.gateway.usage.reading import usage_of_text
from switchyard.http.h2.grpc_call import RpcResponse
from switchyard.http.headers import USAGE

_TOKEN_BYTES = 4  # of a message with English text
_STREAM = "ModelStreamInfer"


def usage_of_trailers(call: Call, trailers: RpcResponse) -> Usage | None:
    """Return what a complete call used; None for one that failed, or of which nobody knows."""
    if call.status != 200:
        return None
    said = trailers.field(USAGE)
    usage = None if said is None else usage_of_text(said)
    return usage or (Usage(inferences=1) if _is_vision(call) else None)


def usage_of_part(call: Call, frames: int, size: int) -> Usage | None:
    """Estimate what a call used whose client reset it after ``frames`` with ``size`` bytes of the response.

    The response is complete before the trailers that say what it used: a client may have all it wants by then.
    """
    if not frames:
        return None
    if _is_vision(call):
        return Usage(inferences=1, estimated=True)
    # A message of a stream has a token; the one message of another call has all of them, or vectors.
    tokens = frames if call.route.rpc == _STREAM else size // _TOKEN_BYTES
    if call.model is not None and call.model.kind == "embedding":
        tokens = 0
    return Usage(prompt_tokens=len(call.body) // _TOKEN_BYTES, completion_tokens=tokens, estimated=True)


def _is_vision(call: Call) -> bool:
    return call.model is not None and call.model.kind == "vision"
