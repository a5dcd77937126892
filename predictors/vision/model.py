"""KServe's face of the repository: V1 predict, and V2 gRPC requests that bring a picture instead of tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelRepository
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferParameter

from predictors.vision.pictures.answering import Answer, Picture, Pictures
from predictors.vision.pictures.bodies import decode_base64, picture
from predictors.vision.pictures.v2 import IMAGE, check_inputs
from predictors.vision.refusal import Refused
from predictors.vision.triton.residency import Residency
from predictors.vision.triton.tensors import datatype

MOST_INSTANCES = 32


class VisionModel(Model):  # type: ignore[misc]
    """One model of the repository, asked by pictures; whoever calls it must hold that model in memory.

    V1: ``{"instances": [{"image": {"b64": …}, "top_k": n}]}`` to ``{"predictions": [...]}``. V2 (gRPC):
    one input ``image`` BYTES [1] to ``label`` BYTES [k], ``score`` FP32 [k] and ``index`` INT32 [k].
    """

    def __init__(self, name: str, pictures: Pictures, residency: Residency) -> None:
        super().__init__(name)
        self.ready = True
        self._pictures = pictures
        self._residency = residency

    async def predict(
        self, payload: Any, headers: Mapping[str, str] | None = None, response_headers: Any = None
    ) -> Any:
        """Answers V2 gRPC for an ``InferRequest`` and V1 for anything else.

        Raises:
            Refused: the request brings no picture, or the picture cannot be answered.
        """
        traceparent = (headers or {}).get("traceparent")
        if isinstance(payload, InferRequest):
            return _response(payload, self.name, await self._ask(_picture(payload, self.name), traceparent))
        asked = [_instance(instance) for instance in _instances(payload)]
        return {"predictions": [(await self._ask(one, traceparent)).as_json() for one in asked]}

    async def _ask(self, asked: Picture, traceparent: str | None) -> Answer:
        async with self._residency.use(self.name) as description:
            return await self._pictures.ask(description, asked, traceparent)


class Repository(ModelRepository):  # type: ignore[misc]
    """Has a model for every name: whether Triton has one is found out when it is asked."""

    def __init__(self, pictures: Pictures, residency: Residency) -> None:
        super().__init__()
        self._pictures = pictures
        self._residency = residency

    def get_model(self, name: str) -> VisionModel:
        return VisionModel(name, self._pictures, self._residency)

    async def is_model_ready(self, name: str) -> bool:
        return await self._residency.ready(name)


def _instances(payload: Any) -> list[Any]:
    instances = payload.get("instances") if isinstance(payload, dict) else None
    if not isinstance(instances, list) or not 1 <= len(instances) <= MOST_INSTANCES:
        raise Refused(400, f'send {{"instances": [{{"image": {{"b64": …}}}}]}} with 1 to {MOST_INSTANCES} pictures')
    return instances


def _instance(instance: Any) -> Picture:
    image = instance.get(IMAGE) if isinstance(instance, dict) else None
    if isinstance(image, dict):
        image = image.get("b64")
    if image is None:
        raise Refused(400, 'an instance has no picture; each is {"image": {"b64": base64}}')
    return picture(decode_base64(image), instance.get("top_k"))


def _picture(request: InferRequest, model: str) -> Picture:
    check_inputs(model, [(tensor.name, tensor.datatype) for tensor in request.inputs])
    try:
        values = request.inputs[0].as_numpy().reshape(-1).tolist()
    except (ValueError, TypeError) as err:
        raise Refused(400, f"input {IMAGE!r} cannot be read as BYTES {request.inputs[0].shape}") from err
    if len(values) != 1:
        raise Refused(400, f"input {IMAGE!r} holds {len(values)} pictures; send one in a request")
    return picture(values[0], _top_k(request))


def _top_k(request: InferRequest) -> Any:
    value = (request.parameters or {}).get("top_k")
    return value.int64_param if isinstance(value, InferParameter) else value


def _response(request: InferRequest, model: str, answer: Answer) -> InferResponse:
    outputs = [_output(name, array) for name, array in answer.as_tensors().items()]
    return InferResponse(
        response_id=request.id or "",
        model_name=model,
        infer_outputs=outputs,
        from_grpc=True,
    )


def _output(name: str, array: np.ndarray) -> InferOutput:
    output = InferOutput(name, list(array.shape), datatype(array))
    output.set_data_from_numpy(array, binary_data=True)
    return output
