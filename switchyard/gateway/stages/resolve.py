"""Stage: the catalog's entry of the model that a request names."""

from switchyard.gateway.context import Context
from switchyard.gateway.lookup import Locate
from switchyard.gateway.pipeline import Stage
from switchyard.http.api_errors import ApiError


def resolve(*, locate: Locate) -> Stage:
    """Refuses models that do not exist, have failed or cannot do what the route asks."""

    async def stage(context: Context) -> None:
        model = context.model = locate(context.model_name)
        route = context.route
        if model.kind not in route.kinds:
            kinds = " or ".join(sorted(route.kinds))
            message = f"model {model.name} is of kind {model.kind}; {route.path} asks for one of kind {kinds}"
            raise ApiError("wrong_model_kind", message, param="model")
        if context.pictures and not model.accepts_images:
            message = f"model {model.name} reads text only; POST a picture to /v1/ocr and send the text that it finds"
            raise ApiError("pictures_not_read", message, param="messages")

    return stage
