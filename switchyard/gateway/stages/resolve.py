"""Stage: finds the catalog's entry of the model that a call names."""

from collections.abc import Awaitable

from switchyard.gateway.call import Call
from switchyard.gateway.lookup import Locate, Visible, require_version
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.upstream.repositories import knows_itself
from switchyard.http.api_errors import ApiError

_CHAT = "/v1/chat/completions"
_NAMED = 3  # in a sentence


def resolve(*, locate: Locate, visible: Visible) -> Stage:
    """Reject models that do not exist, have failed or cannot do what the route asks."""

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        model = call.model = locate(call.model_name, call.identity)
        route = call.route
        if model.kind not in route.kinds:
            kinds = " or ".join(sorted(route.kinds))
            message = f"model {model.name} is of kind {model.kind}; {route.label} asks for one of kind {kinds}"
            code = "not_implemented" if route.rpc else "wrong_model_kind"  # in gRPC, of this model: UNIMPLEMENTED
            raise ApiError(code, message + route.hint, param="model")
        if call.holds_image and not model.accepts_images:
            message = f"model {model.name} reads text only; POST an image to /v1/ocr and send the text that it finds"
            raise ApiError("pictures_not_read", message + _others(call, visible), param="messages")
        if call.params and not knows_itself(model):
            require_version(model, call.params.get("version", ""))
        return proceed(call)

    return stage


def _others(call: Call, visible: Visible) -> str:
    """Return a hint at models and graphs that take a chat with images, empty where there are none."""
    models = visible.to(call.identity).models.values()
    names = [model.name for model in models if model.accepts_images and model.kind in call.route.kinds]
    # A graph's first step may take this one form of chats only, as the sample `read-photo` does.
    return f", or send the chat to {' or '.join(names[:_NAMED])}" if names and call.route.path == _CHAT else ""
