"""What a gRPC call used: its trailers say it, and else it is estimated, as of HTTP's responses."""

from switchyard.gateway.call import Call
from switchyard.http.h2.grpc_call import RpcResponse
from switchyard.http.headers import USAGE
from switchyard.http.usage import Usage, usage_of_text
from switchyard.rpc.status import to_http

_TOKEN_BYTES = 4  # of a message with English text
_STREAM = "ModelStreamInfer"


def count(call: Call, trailers: RpcResponse, frames: int, size: int) -> None:
    """Set the status of a call whose target has responded, and what it used.

    ``frames`` with ``size`` bytes of messages were forwarded. A stream that has responded and then fails has used what
    it used, as one over HTTP that ends with an error event.
    """
    assert trailers.status is not None
    responded = call.route.rpc == _STREAM and frames > 0
    call.status = 200 if responded else to_http(trailers.status)
    if call.status == 200:
        said = trailers.field(USAGE)
        call.usage = (None if said is None else usage_of_text(said)) or _estimate(call, frames, size)


def count_part(call: Call, frames: int, size: int) -> None:
    """Set what a call used that its client has reset.

    A response is complete before the trailers that would say it: a client may have all that it wants by then.
    """
    if call.usage is None and frames:
        call.usage = _estimate(call, frames, size)


def _estimate(call: Call, frames: int, size: int) -> Usage:
    streams, kind = call.route.rpc == _STREAM, "" if call.model is None else call.model.kind
    if kind == "vision":
        return Usage(inferences=frames if streams else 1, estimated=True)
    # A message of a stream has a token; the one message of another call has all of them, or vectors.
    tokens = 0 if kind == "embedding" else frames if streams else size // _TOKEN_BYTES
    prompt = len(call.body) // _TOKEN_BYTES * call.messages
    return Usage(prompt_tokens=prompt, completion_tokens=tokens, estimated=True)
