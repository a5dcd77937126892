"""Which gRPC calls go straight on to Triton: inferences by tensors with a model that is in memory already."""

from collections.abc import Callable
from functools import lru_cache

from predictors.vision.calls import Calls, Running
from predictors.vision.pictures.answering import takes_pictures
from predictors.vision.triton.residency import Residency
from switchyard.http.h2.fields import Field, literal, literals
from switchyard.http.h2.grpc_call import PREFIX, FastCall, FastHandler, GrpcCall
from switchyard.rpc import metadata, status
from switchyard.rpc.protobuf import read_text
from switchyard.rpc.status import RpcStatus
from switchyard.rpc.v2 import MODEL_NAME, SERVICE

INFER = f"/{SERVICE}/ModelInfer"
PROTOCOL = "grpc-v2"
BYTES_TENSOR = b"\x12\x05BYTES"  # the datatype (field 2, five bytes) of a tensor, as it lies in a message


@lru_cache(maxsize=128)
def _encoded(fields: tuple[Field, ...]) -> bytes:
    """What Triton gets of a call's metadata; calls of one client hardly differ in theirs."""
    return literals(metadata.TO_ENGINE.onward(fields))


class Inference:
    """A call that Triton responds to, until its end."""

    __slots__ = ("_running", "metadata", "target")

    def __init__(self, running: Running, target: str, fields: bytes) -> None:
        self._running = running
        self.target = target
        self.metadata = fields
        if running.traceparent:
            self.metadata += literal(b"traceparent", running.traceparent.encode())

    def ended(self, outcome: RpcStatus) -> None:
        self._running.end(0 if outcome is RpcStatus.CANCELLED else status.to_http(outcome))


class FastPath(FastHandler):
    """Lets a call go straight on to ``triton``, judging by its beginning; ``service`` gets all others."""

    paths = frozenset((INFER,))

    def __init__(
        self,
        residency: Residency,
        calls: Calls,
        *,
        live: Callable[[], bool],
        message_bytes: int,
        triton: str,
        service: str,
    ) -> None:
        self._residency = residency
        self._calls = calls
        self._live = live
        self._message_bytes = message_bytes
        self._triton = triton
        self._service = service

    def admit(self, call: GrpcCall, begun: bytes) -> FastCall | None:
        """Compressed messages are the service's."""
        if not self._live() or begun[0] or int.from_bytes(begun[1:PREFIX], "big") > self._message_bytes:
            return None
        message = begun[PREFIX:]
        try:
            model = read_text(message, MODEL_NAME, cut_off=True)
        except ValueError:
            return None
        description = self._residency.loaded(model)
        if description is None or (takes_pictures(description) and BYTES_TENSOR in message):
            return None
        trace = metadata.value_of(call.metadata, b"traceparent")
        running = self._calls.at_once(model, PROTOCOL, None if trace is None else trace.decode("latin-1"))
        return None if running is None else Inference(running, self._triton, _encoded(call.metadata))

    async def __call__(self, call: GrpcCall) -> None:
        await call.forward(self._service, call.metadata)
