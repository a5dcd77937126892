"""Which gRPC calls go straight on to Triton: inferences by tensors with a model that is in memory already."""

from collections.abc import Callable

import grpc

from predictors.vision.calls import Calls, Running
from predictors.vision.pictures.answering import takes_pictures
from predictors.vision.refusal import http_status
from predictors.vision.triton.residency import Residency
from switchyard.http.h2.grpc_call import PREFIX, Request
from switchyard.rpc.protobuf import read_text
from switchyard.rpc.v2 import MODEL_NAME, SERVICE

INFER = f"/{SERVICE}/ModelInfer"
PROTOCOL = "grpc-v2"
BYTES_TENSOR = b"\x12\x05BYTES"  # the datatype (field 2, five bytes) of a tensor, as it lies in a message

_OK = 0
_STATUS = {code.value[0]: http_status(code) for code in grpc.StatusCode}
_KEPT_BACK = frozenset((b"authorization", b"x-api-key", b"user-agent", b"host"))


class Passed:
    """A call that Triton answers, until its end."""

    __slots__ = ("_running", "traceparent")

    def __init__(self, running: Running) -> None:
        self._running = running
        self.traceparent = running.traceparent

    def ended(self, status: int | None) -> None:
        """Takes gRPC's status; None when the client hung up."""
        if status is None:
            self._running.end(0)
        else:
            self._running.end(200 if status == _OK else _STATUS.get(status, 500))


class Splice:
    """Says of the beginning of a call whether it may go straight on; what may not is answered by the service."""

    def __init__(self, residency: Residency, calls: Calls, *, live: Callable[[], bool], message_bytes: int) -> None:
        self._residency = residency
        self._calls = calls
        self._live = live
        self._message_bytes = message_bytes

    def enter(self, request: Request, held: bytes) -> Passed | None:
        """``held`` begins with gRPC's prefix; compressed messages are the service's."""
        if not self._live() or held[0] or int.from_bytes(held[1:PREFIX], "big") > self._message_bytes:
            return None
        message = held[PREFIX:]
        try:
            model = read_text(message, MODEL_NAME, cut_off=True)
        except ValueError:
            return None
        description = self._residency.loaded(model)
        if description is None or (takes_pictures(description) and BYTES_TENSOR in message):
            return None
        running = self._calls.at_once(model, PROTOCOL, request.traceparent)
        return None if running is None else Passed(running)


def may_see(name: bytes) -> bool:
    """Whether Triton gets a header field: neither credentials nor what belongs to the platform."""
    return name not in _KEPT_BACK and not name.startswith(b"x-switchyard-")
