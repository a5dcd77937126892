"""What a model imports as ``triton_python_backend_utils``, for one run without Triton: the API of Triton 2.51.

https://github.com/triton-inference-server/python_backend has its description. Where Triton rejects what a model gives
it, so does this: ``UsageError`` does not depend on the values of a request.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NoReturn

from switchyard.repository.judging.python.backend_config import ModelConfig as ModelConfig
from switchyard.repository.judging.python.backend_tensors import TRITON_STRING_TO_NUMPY as TRITON_STRING_TO_NUMPY
from switchyard.repository.judging.python.backend_tensors import NoTritonError, Tensor, UsageError
from switchyard.repository.judging.python.backend_tensors import deserialize_bytes_tensor as deserialize_bytes_tensor
from switchyard.repository.judging.python.backend_tensors import numpy_to_triton_type as numpy_to_triton_type
from switchyard.repository.judging.python.backend_tensors import serialize_byte_tensor as serialize_byte_tensor
from switchyard.repository.judging.python.backend_tensors import triton_string_to_numpy as triton_string_to_numpy
from switchyard.repository.judging.python.backend_tensors import triton_to_numpy_type as triton_to_numpy_type

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2


class TritonModelException(Exception):  # noqa: N818 - Triton's name
    """What a model raises."""


class TritonError:
    """Why a request has no outputs."""

    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG, UNAVAILABLE, UNSUPPORTED, ALREADY_EXISTS, CANCELLED = range(8)

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        self._message, self._code = str(message), code

    def message(self) -> str:
        return self._message

    def code(self) -> int:
        return self._code


class Logger:
    """Writes nothing."""

    class LogLevel(IntEnum):
        INFO, WARNING, ERROR, VERBOSE = range(4)

    INFO, WARNING, ERROR, VERBOSE = LogLevel

    @staticmethod
    def log(message: str, level: LogLevel = LogLevel.INFO) -> None:
        pass

    log_info = log_warn = log_error = log_verbose = log


class InferenceResponse:
    """The outputs of one request, or its error."""

    def __init__(
        self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None, parameters: object = None
    ) -> None:
        if not isinstance(output_tensors, list | tuple):
            raise UsageError("the output_tensors of an InferenceResponse are a list")
        if any(not isinstance(tensor, Tensor) for tensor in output_tensors):
            raise UsageError("the output_tensors of an InferenceResponse are Tensors")
        if not isinstance(error, TritonError | None):
            raise UsageError("the error of an InferenceResponse is a TritonError")
        self._tensors, self._error, self._parameters = list(output_tensors), error, parameters

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error

    def parameters(self) -> str:
        return str(self._parameters or "{}")


class InferenceResponseSender:
    """Keeps the responses that a model sends instead of returning them."""

    def __init__(self) -> None:
        self.sent: list[InferenceResponse] = []

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        if not isinstance(response, InferenceResponse | None):
            raise UsageError("a response is an InferenceResponse")
        if response is not None:
            self.sent.append(response)

    def is_cancelled(self) -> bool:
        return False


class InferenceTrace:
    """A trace that nobody reads."""

    def get_context(self) -> None:
        return None


class PreferredMemory:
    """Where the outputs of a call shall lie."""

    TRITONSERVER_MEMORY_CPU, TRITONSERVER_MEMORY_GPU = range(2)

    def __init__(self, preferred_memory_type: int, preferred_device_id: int = 0) -> None:
        self.preferred_memory_type, self.preferred_device_id = preferred_memory_type, preferred_device_id


TRITONSERVER_MEMORY_CPU = PreferredMemory.TRITONSERVER_MEMORY_CPU
TRITONSERVER_MEMORY_GPU = PreferredMemory.TRITONSERVER_MEMORY_GPU


class InferenceRequest:
    """A request, and a call of another model, which ends the run: no other model is here."""

    def __init__(
        self,
        request_id: str = "",
        correlation_id: int | str = 0,
        inputs: Iterable[Tensor] = (),
        requested_output_names: Iterable[str] = (),
        model_name: str = "",
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory | None = None,
        trace: InferenceTrace | None = None,
        parameters: object = None,
    ) -> None:
        self._inputs, self._names, self.model = list(inputs), set(requested_output_names), model_name
        if any(not isinstance(tensor, Tensor) for tensor in self._inputs):
            raise UsageError("the inputs of an InferenceRequest are Tensors")
        self._id, self._correlation_id, self._flags, self._timeout = request_id, correlation_id, flags, timeout
        self._trace, self._parameters = trace or InferenceTrace(), parameters
        self._sender = InferenceResponseSender()

    def inputs(self) -> list[Tensor]:
        return self._inputs

    def request_id(self) -> str:
        return self._id

    def correlation_id(self) -> int | str:
        return self._correlation_id

    def flags(self) -> int:
        return self._flags

    def set_flags(self, flags: int) -> None:
        self._flags = flags

    def set_release_flags(self, flags: int) -> None:
        pass

    def timeout(self) -> int:
        return self._timeout

    def parameters(self) -> str:
        return str(self._parameters or "{}")

    def requested_output_names(self) -> set[str]:
        return self._names

    def preferred_memory(self) -> PreferredMemory:
        return PreferredMemory(TRITONSERVER_MEMORY_CPU)

    def trace(self) -> InferenceTrace:
        return self._trace

    def is_cancelled(self) -> bool:
        return False

    def get_response_sender(self) -> InferenceResponseSender:
        return self._sender

    def exec(self, decoupled: bool = False) -> NoReturn:
        _call_another(self.model)

    async def async_exec(self, decoupled: bool = False) -> NoReturn:
        _call_another(self.model)


class Metric:
    """A number that nobody reads."""

    def __init__(self, labels: Mapping[str, str] | None = None, buckets: Sequence[float] | None = None) -> None:
        self._value = 0.0

    def increment(self, value: float) -> None:
        self._value += value

    def set(self, value: float) -> None:
        self._value = value

    def observe(self, value: float) -> None:
        pass

    def value(self) -> float:
        return self._value


class MetricFamily:
    """Metrics of one name."""

    COUNTER, GAUGE, HISTOGRAM = range(3)
    Metric = Metric

    def __init__(self, name: str, description: str, kind: int) -> None:
        self.name, self.description, self.kind = name, description, kind


class Run:
    """What the run tells this module: where the model lies, and whether it executes a request."""

    model_dir = ""
    executes = False


def get_model_dir() -> str:
    return Run.model_dir


def is_model_ready(model_name: str, model_version: str = "") -> NoReturn:
    _call_another(model_name)


def load_model(model_name: str, files: object = None, config: str = "") -> NoReturn:
    _call_another(model_name)


def unload_model(model_name: str, unload_dependents: bool = False) -> NoReturn:
    _call_another(model_name)


def _call_another(model: str) -> NoReturn:
    if not Run.executes:
        raise TritonModelException(f"other models can only be called in execute, and '{model}' is called before")
    raise NoTritonError(f"the model '{model}'")


def get_input_tensor_by_name(inference_request: InferenceRequest, name: str) -> Tensor | None:
    return _named(inference_request.inputs(), name)


def get_output_tensor_by_name(inference_response: InferenceResponse, name: str) -> Tensor | None:
    return _named(inference_response.output_tensors(), name)


def _named(tensors: Iterable[Tensor], name: str) -> Tensor | None:
    return next((tensor for tensor in tensors if tensor.name() == name), None)


def get_input_config_by_name(model_config: Mapping[str, Any], name: str) -> Any:
    return next((each for each in model_config.get("input", ()) if each["name"] == name), None)


def get_output_config_by_name(model_config: Mapping[str, Any], name: str) -> Any:
    return next((each for each in model_config.get("output", ()) if each["name"] == name), None)


def using_decoupled_model_transaction_policy(model_config: Mapping[str, Any]) -> bool:
    return bool(model_config.get("model_transaction_policy", {}).get("decoupled", False))
