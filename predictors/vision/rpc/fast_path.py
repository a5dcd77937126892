"""The fast path for gRPC: inferences on tensors with a loaded model are forwarded to Triton as frames."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import unquote

from predictors.vision.admission import Admission, Slot
from predictors.vision.errors import of_triton
from predictors.vision.images.inference import takes_images
from predictors.vision.images.usage import Shape, add_tensors
from predictors.vision.rpc.inference_request import RAW_CONTENTS, inputs_of, read_request
from predictors.vision.triton.inputs import explained
from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.model_config import ModelConfig
from switchyard.http.asgi.usage import Counted
from switchyard.http.h2.fields import Field, literal, literals
from switchyard.http.h2.grpc_call import PREFIX, FastCall, FastHandler, GrpcCall, RpcHandler, RpcRequest
from switchyard.http.headers import CLIENT_TO_TRITON, USAGE
from switchyard.http.request_log import CallLine
from switchyard.rpc import status
from switchyard.rpc.protobuf import TextGuard
from switchyard.rpc.status import RpcStatus
from switchyard.rpc.v2 import MODEL_NAME, SERVICE

INFER = f"/{SERVICE}/ModelInfer"
PROTOCOL = "grpc-v2"
BYTES_TENSOR = b"\x12\x05BYTES"  # the datatype (field 2, five bytes) of a tensor, as it lies in a message


@lru_cache(maxsize=128)
def _encoded(fields: tuple[Field, ...]) -> bytes:
    """Encode the metadata of a call for Triton; cached, because the calls of one client hardly differ in it."""
    return literals(CLIENT_TO_TRITON.passed(fields))


def _usage(config: ModelConfig, shapes: Sequence[Shape]) -> bytes:
    """Return the trailer that says what a call used."""
    counts = Counted()
    add_tensors(counts, config, shapes)
    return literal(USAGE, counts.as_json())


def explain(outcome: RpcStatus, message: str, config: ModelConfig, request: bytes) -> str:
    """Return what a client is told of Triton's error; ``request`` is its beginning at least."""
    wrong = outcome is RpcStatus.INVALID_ARGUMENT
    return explained(message, config, inputs_of(request)) if wrong else message


class Inference:
    """A call that Triton handles, until its end."""

    __slots__ = ("_beginning", "_config", "_log", "_on_failure", "_slot", "_usage", "guard", "metadata", "target")

    def __init__(
        self,
        slot: Slot,
        target: str,
        fields: bytes,
        guard: Callable[[bytes], None] | None,
        usage: bytes,
        on_failure: Callable[[str], None],
        config: ModelConfig,
        beginning: bytes,
        log: CallLine,
    ) -> None:
        self._slot = slot
        self._log = log
        self._config = config
        self._beginning = beginning
        self._on_failure = on_failure
        self.target = target
        self.metadata = fields
        self.guard = guard
        self._usage = usage
        if slot.traceparent:
            self.metadata += literal(b"traceparent", slot.traceparent.encode())

    def explained(self, outcome: RpcStatus, message: str) -> str:
        return explain(outcome, message, self._config, self._beginning)

    def trailers(self, outcome: RpcStatus, message: str) -> bytes:
        if outcome is not RpcStatus.UNAVAILABLE:
            return self._usage
        return self._usage + literals(list(status.rpc_error(of_triton(503, unquote(message))).metadata))

    def ended(self, outcome: RpcStatus, message: str) -> None:
        if outcome is RpcStatus.INTERNAL:
            self._log.run(self._on_failure, message)
        self._slot.end(0 if outcome is RpcStatus.CANCELLED else status.to_http(outcome))
        self._log.end(outcome)


class FastPath(FastHandler):
    """Forwards a call to ``triton`` (``host:port``) if its first bytes allow it; ``service`` handles all others."""

    paths = frozenset((INFER,))

    def __init__(
        self,
        loaded_models: LoadedModels,
        admission: Admission,
        *,
        live: Callable[[], bool],
        message_bytes: int,
        triton: str,
        service: RpcHandler,
    ) -> None:
        self._loaded_models = loaded_models
        self._admission = admission
        self._live = live
        self._message_bytes = message_bytes
        self._triton = triton
        self._service = service

    def admit(self, request: RpcRequest, beginning: bytes) -> FastCall | None:
        """Decide by the first bytes of a call; compressed messages are left to the service."""
        length = int.from_bytes(beginning[1:PREFIX], "big")
        # None wherever a call needs a sentence, a load or a wait: only the service has the means for these. Its limit
        # is checked here too, for on this path nothing else holds a message to it.
        if not self._live() or beginning[0] or length > self._message_bytes:
            return None
        message = beginning[PREFIX:]
        try:
            model, has_version, described, shapes = read_request(message, length, cut_off=len(message) < length)
        except ValueError:
            return None
        config = self._loaded_models.loaded(model)
        # Triton's error for a version that it does not serve is no sentence for a client.
        if config is None or has_version or not described or (takes_images(config) and BYTES_TENSOR in message):
            return None
        usage = b""
        if USAGE in request.fields:
            if config.takes_bytes:  # the images in it have sizes, which only whole messages tell
                return None
            usage = _usage(config, shapes)
        trace = request.fields.get(b"traceparent")
        slot = self._admission.try_acquire(model, PROTOCOL, None if trace is None else trace.decode("latin-1"))
        if slot is None:
            return None
        # The end of a longer message must not name another model, as Triton takes the last name, nor announce inputs.
        guard = TextGuard(MODEL_NAME, model, last=RAW_CONTENTS).feed if len(message) < length else None
        failed, metadata = self._loaded_models.model_failed, _encoded(request.metadata)
        line = CallLine(request.fields)
        return Inference(slot, self._triton, metadata, guard, usage, failed, config, message, line)

    async def __call__(self, call: GrpcCall) -> None:
        await self._service(call)
