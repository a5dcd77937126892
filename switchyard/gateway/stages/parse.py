"""Stage: which model is asked, and whether the answer streams. Bodies go on unchanged, except those of short forms."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from switchyard.gateway.context import Context
from switchyard.gateway.pipeline import Stage
from switchyard.gateway.routes.short_forms import parse_object
from switchyard.http.api_errors import ApiError

_JSON = b"application/json"
# How a part of a message says that it is a picture: chat, responses and Anthropic's messages
_PICTURE_TYPES = frozenset(("image_url", "input_image", "image"))


def parse(*, default_model: Callable[[], str]) -> Stage:
    """``default_model`` names the model of forms that name none, or is empty."""

    async def stage(context: Context) -> None:
        kind = context.route.body
        if kind == "json":
            _require_json(context)
            payload = parse_object(context.body)
            context.model_name = _model_of(payload.get("model"))
            context.stream = payload.get("stream") is True
            context.pictures = b"image" in context.body and _holds_picture(payload)
        elif kind == "form":
            _parse_form(context, default_model)
        else:
            context.model_name = context.params.get("model", context.route.model)

    return stage


def _require_json(context: Context) -> None:
    given = context.fields.get(b"content-type", b"")
    if given != _JSON and given.partition(b";")[0].strip().lower() != _JSON:
        shown = given.decode("latin-1") or "missing"
        raise ApiError("unsupported_media_type", f"content-type is {shown}; send content-type: application/json")
    if context.fields.get(b"content-encoding", b"identity") != b"identity":
        raise ApiError("unsupported_media_type", "the body is compressed; send it as it is")


def _holds_picture(payload: Mapping[str, Any]) -> bool:
    messages = payload.get("messages") or payload.get("input")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") in _PICTURE_TYPES:
                return True
    return False


def _model_of(name: object) -> str:
    if name is None:
        raise ApiError("missing_model", "the body names no model; GET /v1/models lists them", param="model")
    if not isinstance(name, str):
        raise ApiError("invalid_value", "model must be a string; GET /v1/models lists them", param="model")
    return name


def _parse_form(context: Context, default_model: Callable[[], str]) -> None:
    form = context.route.form
    assert form is not None
    if not form.text:
        _require_json(context)
    payload = form.request(context.body, context.params)
    payload["model"] = context.model_name = payload.get("model") or default_model() or _model_of(None)
    context.stream = payload.get("stream") is True
    context.body = orjson.dumps(payload)
