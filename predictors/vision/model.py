"""KServe's view of the repository: V1 predict, and V2 gRPC requests with an image instead of tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelRepository
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferParameter

from predictors.vision.images.inference import Image, ImageInference, ImageResult
from predictors.vision.images.request_bodies import decode_base64, image_of
from predictors.vision.images.v2 import IMAGE, check_inputs
from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.tensors import datatype
from switchyard.http.api_errors import ApiError

MAX_INSTANCES = 32


class VisionModel(Model):  # type: ignore[misc]
    """One model of the repository, called with images; its caller must keep it loaded.

    V1: ``{"instances": [{"image": {"b64": …}, "top_k": n}]}`` to ``{"predictions": [...]}``. V2 (gRPC):
    one input ``image`` BYTES [1] to ``label`` BYTES [k], ``score`` FP32 [k] and ``index`` INT32 [k].
    """

    def __init__(self, name: str, images: ImageInference, loaded_models: LoadedModels) -> None:
        super().__init__(name)
        self.ready = True
        self._images = images
        self._loaded_models = loaded_models

    async def predict(
        self, payload: Any, headers: Mapping[str, str] | None = None, response_headers: Any = None
    ) -> Any:
        """Handle V2 gRPC for an ``InferRequest``, and V1 for anything else.

        Raises:
            ApiError: the request has no image, or the image cannot be processed.
        """
        traceparent = (headers or {}).get("traceparent")
        if isinstance(payload, InferRequest):
            return _response(payload, self.name, await self._infer(_image(payload, self.name), traceparent))
        # All are read before the first is asked, so that a bad one costs no inference. Then one after the other: the
        # request holds one slot, and must not use Triton as thirty-two would.
        requested = [_instance(instance) for instance in _instances(payload)]
        return {"predictions": [(await self._infer(one, traceparent)).as_json() for one in requested]}

    async def _infer(self, image: Image, traceparent: str | None) -> ImageResult:
        async with self._loaded_models.use(self.name) as config:
            return await self._images.infer(config, image, traceparent)


class Repository(ModelRepository):  # type: ignore[misc]
    """Has a model for every name; whether Triton has it turns out at its first request."""

    def __init__(self, images: ImageInference, loaded_models: LoadedModels) -> None:
        super().__init__()
        self._images = images
        self._loaded_models = loaded_models

    def get_model(self, name: str) -> VisionModel:
        return VisionModel(name, self._images, self._loaded_models)

    async def is_model_ready(self, name: str) -> bool:
        return await self._loaded_models.ready(name)


def _instances(payload: Any) -> list[Any]:
    instances = payload.get("instances") if isinstance(payload, dict) else None
    if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_INSTANCES:
        message = f'send {{"instances": [{{"image": {{"b64": …}}}}]}} with 1 to {MAX_INSTANCES} images'
        raise ApiError("invalid_value", message)
    return instances


def _instance(instance: Any) -> Image:
    image = instance.get(IMAGE) if isinstance(instance, dict) else None
    if isinstance(image, dict):
        image = image.get("b64")
    if image is None:
        raise ApiError("invalid_value", 'an instance has no image; each must be {"image": {"b64": base64}}')
    return image_of(decode_base64(image), instance.get("top_k"))


def _image(request: InferRequest, model: str) -> Image:
    check_inputs(model, [(tensor.name, tensor.datatype) for tensor in request.inputs])
    try:
        values = request.inputs[0].as_numpy().reshape(-1).tolist()
    except (ValueError, TypeError) as err:
        raise ApiError("invalid_value", f"input {IMAGE!r} cannot be read as BYTES {request.inputs[0].shape}") from err
    if len(values) != 1:
        raise ApiError("invalid_value", f"input {IMAGE!r} holds {len(values)} images; send one in a request")
    return image_of(values[0], _top_k(request))


def _top_k(request: InferRequest) -> Any:
    value = (request.parameters or {}).get("top_k")
    return value.int64_param if isinstance(value, InferParameter) else value


def _response(request: InferRequest, model: str, result: ImageResult) -> InferResponse:
    outputs = [_output(name, array) for name, array in result.as_tensors().items()]
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
