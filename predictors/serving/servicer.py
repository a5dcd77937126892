"""KServe's V2 gRPC servicer for a process of one model, in one version, that nobody loads or unloads."""

from typing import Any

from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelReadyResponse, RepositoryModelLoadResponse
from kserve.protocol.grpc.servicer import InferenceServicer

from predictors.serving.application import ONLY_VERSION, no_version, not_unloaded
from switchyard.http.asgi.usage import usage_in_trailers


class OneModelServicer(InferenceServicer):  # type: ignore[misc]
    """Rejects what KServe's own takes: any version for the only one, and an unload, which would be for good."""

    async def ModelReady(self, request: Any, context: Any) -> Any:
        if request.version not in ("", ONLY_VERSION):
            return ModelReadyResponse(ready=False)
        return await super().ModelReady(request, context)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        _require(request.version)
        return await super().ModelMetadata(request, context)

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        _require(request.model_version)
        with usage_in_trailers(context):
            return await super().ModelInfer(request, context)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:
        return RepositoryModelLoadResponse(model_name=request.model_name, isLoaded=True)

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:
        raise not_unloaded()


def _require(version: str) -> None:
    if version not in ("", ONLY_VERSION):
        raise no_version(version)
