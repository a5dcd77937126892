"""The V2 API of a language model: converts tensors to texts and back."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import orjson
from google.protobuf.unknown_fields import UnknownFieldSet
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput, ServerNotReady
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferParameter

from predictors.llm.engine import Engine
from predictors.llm.in_process import post
from predictors.llm.v2.completion import Completion, Embedding, GenerationError, InvalidRequestError, TextModel
from predictors.llm.v2.inputs import TEXT, read_texts
from predictors.serving.admission import Admission
from switchyard.http.api_errors import ApiError
from switchyard.telemetry.metrics.families import Outcome

logger = logging.getLogger(__name__)

_JSON = {"type": "json_object"}
# What is compiled or built when it is first asked for, while everybody waits: log probabilities, grammars.
_RARE_PATHS = {"prompt": "Hello", "max_tokens": 2, "temperature": 1, "logprobs": 1, "response_format": _JSON}


class LanguageModel(Model):  # type: ignore[misc]
    """Serves V2 REST and gRPC: ``text_input`` BYTES [n] to ``text_output`` BYTES [n], or ``embedding`` FP32 [n, d].

    Token counts are ``prompt_tokens`` and ``completion_tokens`` INT32 [n]; the reason why each completion ended is
    ``finish_reason`` BYTES [n]. Request parameters are those of ``completion.PARAMETERS``, and ``chat``.
    """

    def __init__(self, name: str, engine: Engine, admission: Admission) -> None:
        super().__init__(name)
        self._engine = engine
        # Without its template a chat model continues a text in place of answering it, and V2 has no messages.
        self.texts = TextModel(engine.app, name, chat=engine.generates and engine.has_chat_template)
        self._admission = admission

    async def healthy(self) -> bool:
        return self.ready and not self._engine.lost

    async def warm_up(self) -> None:
        """Complete one small request, and touch what others would wait for; the model is ready afterwards.

        Raises:
            GenerationError: the model failed.
        """
        if self._engine.generates:
            await self.texts.complete(["Hello"], {"max_tokens": 2}, {})
            for choices in (1, 2):  # kernels are compiled for one row, and once more for several
                body = orjson.dumps({**_RARE_PATHS, "model": self.name, "n": choices})
                response = await post(self._engine.app, "/v1/completions", body, {})
                if response.status != 200:  # flags may forbid it, such as --max-logprobs=0
                    logger.warning("no warm-up with log probabilities and a grammar: %s", response.body.decode())
        else:
            await self.texts.embed(["Hello"], {})
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": TEXT, "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        counts = {"datatype": "INT32", "shape": [-1]}
        if not self._engine.generates:
            return [
                {"name": "embedding", "datatype": "FP32", "shape": [-1, -1]},
                {"name": "prompt_tokens", **counts},
            ]
        return [
            {"name": "text_output", "datatype": "BYTES", "shape": [-1]},
            {"name": "prompt_tokens", **counts},
            {"name": "completion_tokens", **counts},
            {"name": "finish_reason", "datatype": "BYTES", "shape": [-1]},
        ]

    async def predict(
        self, payload: Any, headers: Mapping[str, str] | None = None, response_headers: Any = None
    ) -> InferResponse:
        """Handle one V2 request; gRPC requests are admitted and counted here, REST ones in ``serving.application``."""
        if not isinstance(payload, InferRequest):
            raise InvalidInput("this model speaks V2: POST /v2/models/<name>/infer with an `inputs` list")
        # REST requests have passed `serving.application`, which admits and counts them before KServe reads them.
        if not payload.from_grpc:
            return await self._infer(payload, _lowered(headers or {}))
        with self._admitted(headers or {}) as passed:
            return await self._infer(payload, passed)

    async def stream(
        self, request: InferRequest, options: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterator[InferResponse]:
        """Yield a response for each chunk of text, or one for all if ``options["stream"]`` is false; gRPC only.

        ``options`` are parameters beside those of the request.

        Raises:
            InvalidInput: the request is not valid.
            InferenceError: the model failed.
            ServerNotReady: it takes no request now.
        """
        parameters = {**_parameters(request), **options}
        streams = parameters.pop("stream", True)
        with self._admitted(headers) as passed:
            if not streams or not self._engine.generates:
                yield await self._infer(request, passed, parameters)
                return
            (prompt,) = read_texts(request, most=1)
            with self._errors():
                async for chunk in self.texts.stream(prompt, parameters, passed):
                    yield _response(request, self.name, _completion_outputs([chunk]))

    @contextmanager
    def _admitted(self, headers: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Admit a gRPC request, and count and trace it; yield its headers for the engine."""
        passed = _lowered(headers)
        operation = "text_completion" if self._engine.generates else "embeddings"
        record = self._admission.record("grpc-v2", operation, passed.get("traceparent"))
        if record.traceparent:
            passed["traceparent"] = record.traceparent
        outcome: Outcome = "failed"
        try:
            with self._admission.enter():
                yield passed
            outcome = "ok"
        except ApiError as err:
            outcome = "rejected"
            raise ServerNotReady(str(err)) from err
        except InvalidInput:
            outcome = "rejected"
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "cancelled"
            raise
        finally:
            record.close(outcome)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise KServe's errors in place of the completion's."""
        try:
            yield
        except InvalidRequestError as err:
            raise InvalidInput(str(err)) from err
        except GenerationError as err:
            raise (ServerNotReady if self._engine.lost else InferenceError)(str(err)) from err

    async def _infer(
        self, request: InferRequest, headers: Mapping[str, str], parameters: Mapping[str, Any] | None = None
    ) -> InferResponse:
        texts = read_texts(request)
        with self._errors():
            if self._engine.generates:
                given = _parameters(request) if parameters is None else parameters
                return _response(
                    request, self.name, _completion_outputs(await self.texts.complete(texts, given, headers))
                )
            return _response(request, self.name, _embedding_outputs(await self.texts.embed(texts, headers)))


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _parameters(request: InferRequest) -> dict[str, Any]:
    """Return the request's parameters as plain values, without those of the V2 protocol itself."""
    values = {}
    for name, value in (request.parameters or {}).items():
        if name not in ("binary_data_output", "sequence_id", "sequence_start", "sequence_end", "priority", "timeout"):
            values[name] = _from_grpc(name, value) if isinstance(value, InferParameter) else value
    return values


def _from_grpc(name: str, parameter: InferParameter) -> Any:
    """Return the value of a gRPC parameter, including floats.

    V2's InferParameter has ``double_param = 4`` and ``uint64_param = 5`` (Triton's grpc_service.proto); KServe's copy
    of the message lacks both, so they arrive as unknown fields.
    """
    if choice := parameter.WhichOneof("parameter_choice"):
        return getattr(parameter, choice)
    for unknown in UnknownFieldSet(parameter):
        if unknown.field_number == 4:
            return struct.unpack("<d", struct.pack("<Q", unknown.data))[0]
        if unknown.field_number == 5:
            return unknown.data
    raise InvalidInput(f"parameter {name!r} has no value")


def _completion_outputs(rows: list[Completion]) -> list[tuple[str, str, np.ndarray]]:
    def texts(values: list[str]) -> np.ndarray:
        return np.array([value.encode() for value in values], dtype=np.object_)

    def counts(values: list[int]) -> np.ndarray:
        return np.array(values, dtype=np.int32)

    return [
        ("text_output", "BYTES", texts([row.text for row in rows])),
        ("prompt_tokens", "INT32", counts([row.prompt_tokens for row in rows])),
        ("completion_tokens", "INT32", counts([row.completion_tokens for row in rows])),
        ("finish_reason", "BYTES", texts([row.finish_reason for row in rows])),
    ]


def _embedding_outputs(rows: list[Embedding]) -> list[tuple[str, str, np.ndarray]]:
    return [
        ("embedding", "FP32", np.array([row.values for row in rows], dtype=np.float32)),
        ("prompt_tokens", "INT32", np.array([row.prompt_tokens for row in rows], dtype=np.int32)),
    ]


def _response(request: InferRequest, name: str, tensors: list[tuple[str, str, np.ndarray]]) -> InferResponse:
    wanted = {output.name for output in request.request_outputs or ()}
    if unknown := wanted - {tensor for tensor, _, _ in tensors}:
        raise InvalidInput(f"no output is named {', '.join(map(repr, sorted(unknown)))}; see GET /v2/models/{name}")
    outputs = []
    for tensor, datatype, array in tensors:
        if wanted and tensor not in wanted:
            continue
        output = InferOutput(tensor, list(array.shape), datatype)
        output.set_data_from_numpy(array, binary_data=bool(request.from_grpc or request.use_binary_outputs))
        outputs.append(output)
    return InferResponse(
        response_id=request.id or "",
        model_name=name,
        infer_outputs=outputs,
        from_grpc=request.from_grpc,
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )
