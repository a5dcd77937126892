"""What Triton has beyond KServe's V2 over gRPC: a stream of inferences."""

import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import orjson
from google.protobuf.message import DecodeError
from kserve import InferRequest
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ServerNotReady
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest, ModelInferResponse
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.utils.utils import to_headers

from predictors.llm.model import LanguageModel
from predictors.llm.v2.generate import checked
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi.usage import usage_in_trailers
from switchyard.rpc import v2
from switchyard.rpc.protobuf import write

# Inputs of Triton's vLLM backend that are no text: https://github.com/triton-inference-server/vllm_backend
_OPTIONS = frozenset(("stream", "exclude_input_in_output", "sampling_parameters"))
_FINAL = "triton_final_response"


class RpcExtension(grpc.GenericRpcHandler):  # type: ignore[misc]
    """``ModelStreamInfer``, and UNIMPLEMENTED with a sentence for what else Triton has and KServe's service has not.

    Each message of a stream is a request of its own, one after the other: its text comes in a response for each chunk,
    unless ``stream`` is false; the last says ``triton_final_response``. A request that fails gets ``error_message``,
    and the stream goes on, as with Triton.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def service(self, handler_call_details: Any) -> Any:
        method: str = handler_call_details.method
        if method == v2.path("ModelStreamInfer"):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(_unimplemented) if method.startswith(v2.path("")) else None

    async def _stream(self, messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        headers = to_headers(context)
        with usage_in_trailers(context):
            async for message in messages:
                request = ModelInferRequest()
                try:
                    request.ParseFromString(message)
                    async for response in self._responses(request, headers):
                        yield write(2, response.SerializeToString())
                except (ApiError, InvalidInput, InferenceError, ModelNotFound, ServerNotReady, DecodeError) as err:
                    named = ModelInferResponse(id=request.id, model_name=request.model_name)
                    yield write(1, str(err)) + write(2, named.SerializeToString())

    async def _responses(
        self, request: ModelInferRequest, headers: Mapping[str, str]
    ) -> AsyncIterator[ModelInferResponse]:
        if request.model_name != self._model.name:
            raise ModelNotFound(request.model_name)
        InferenceServicer.validate_grpc_request(request)
        asked = InferRequest.from_grpc(request)
        options = checked(_options(asked), streams=True)
        previous: ModelInferResponse | None = None
        async for response in self._model.stream(asked, options, headers):
            if previous is not None:
                yield previous
            previous = response.to_grpc()
            previous.parameters[_FINAL].bool_param = False
        if previous is not None:
            previous.parameters[_FINAL].bool_param = True
            yield previous


async def _unimplemented(request: bytes, context: Any) -> bytes:
    message = "a language model has no configuration, statistics or shared memory of Triton's; GET /docs lists what is"
    raise ApiError("not_implemented", message)


def _options(request: InferRequest) -> dict[str, Any]:
    """Take the tensors that are options out of the request, and return their values."""
    tensors = {tensor.name: tensor for tensor in request.inputs if tensor.name in _OPTIONS}
    request.inputs = [tensor for tensor in request.inputs if tensor.name not in _OPTIONS]
    values: dict[str, Any] = {}
    for name, tensor in tensors.items():
        try:
            (values[name],) = tensor.as_numpy().reshape(-1).tolist()
        except (ValueError, TypeError, struct.error) as err:
            raise InvalidInput(f"input {name!r} must hold one value") from err
    sampling = values.pop("sampling_parameters", "{}")
    try:
        return {**orjson.loads(sampling), **values}
    except (orjson.JSONDecodeError, TypeError) as err:
        raise InvalidInput("input 'sampling_parameters' must be a JSON object") from err
