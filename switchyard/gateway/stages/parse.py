"""Stage: finds the model that is named and whether the response streams; short forms and tiers change the body."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from switchyard.gateway.admission.service_tiers import service_tier, with_priority
from switchyard.gateway.call import Call
from switchyard.gateway.edges.rpc import RpcEdge
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.quota.estimates import asked_output
from switchyard.gateway.routes.short_forms import Form
from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import JSON, check_charset, check_encoding, check_json_type, media_type, parse_object
from switchyard.http.json_cost import check_items, check_lists, is_cheap, outline
from switchyard.rpc import v2

FORM_BYTES = 1024 * 1024  # of a short form: more text than a model reads, and it is written anew
_PASSED = frozenset((JSON, b"application/octet-stream", b"multipart/form-data"))
# How a part of a message says that it is an image: chat, responses and Anthropic's messages
_IMAGE_TYPES = frozenset(("image_url", "input_image", "image"))


def parse(*, default_model: Callable[[Identity | None], str]) -> Stage:
    """Parse what the route's ``body`` says; ``default_model`` names the model of forms that name none, or is empty."""

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        kind, form = call.route.body, call.route.form
        if kind == "json" or (form is not None and not form.text):
            _require_json(call)
            if not is_cheap(call.body):
                return parse_large(call, proceed)
        if kind == "json":
            payload = parse_object(call.body)
            check_lists(payload)
            _read(call, payload, call.body)
        elif form is not None:
            _parse_form(call, form, default_model)
        elif kind == "message":
            call.model_name = _model_of_message(call)
        else:
            if kind == "any":
                _require_known(call)
            call.model_name = call.params.get("model", call.route.model)
            call.stream = call.route.streams
        return proceed(call)

    async def parse_large(call: Call, proceed: Proceed) -> None:
        short = await outline(call.body)
        if call.route.form is not None:
            _parse_form(call, call.route.form, default_model)
        else:
            payload = parse_object(short, call.body)
            check_items(payload)
            _read(call, payload, short)
        await proceed(call)

    return stage


def _read(call: Call, payload: Mapping[str, Any], text: bytes) -> None:
    """Read what the gateway needs of a request, or of its outline, whose ``text`` it is: the model checks the rest."""
    call.model_name = _model_of(payload.get("model"))
    call.service_tier = service_tier(payload, call.identity)
    if call.background and call.route.streams and call.route.shape == "openai":
        call.service_tier = "flex"  # language models': the engine, too, takes it after those that clients wait for
    call.body = with_priority(call.body, call.service_tier)
    if call.identity is not None:
        call.asked = asked_output(payload)
    # Where vLLM takes "true" or 1 for true, the response's own content type still makes it a stream; only the
    # heartbeats are lost.
    call.stream = call.route.streams and payload.get("stream") is True
    # The text is searched first, so that a long chat without the word is not walked message by message. A client that
    # writes it with JSON's escapes gets the model's own error in place of ours.
    call.holds_image = b"image" in text and _holds_image(payload)


def _require_json(call: Call) -> None:
    check_json_type(call.fields.get(b"content-type", b""))
    _require_plain(call)


def _require_known(call: Call) -> None:
    """Check a body that is passed on unread: Triton's own parser ends on large forms, which are curl's default."""
    given = call.fields.get(b"content-type", b"")
    kind = media_type(given)
    if kind and kind not in _PASSED and not kind.startswith(b"image/"):
        message = f"content-type is {given[:80].decode('latin-1')}; send application/json, binary tensors or an image"
        raise ApiError("unsupported_media_type", message)
    if kind == JSON:
        check_charset(given)
    _require_plain(call)


def _require_plain(call: Call) -> None:
    # vLLM decompresses nothing either, and a few bytes could unpack to more than ``max_body_bytes`` behind here.
    if (encoding := call.fields.get(b"content-encoding")) is not None:
        check_encoding(encoding)


def _holds_image(payload: Mapping[str, Any]) -> bool:
    messages = payload.get("messages") or payload.get("input")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") in _IMAGE_TYPES:
                return True
    return False


def _model_of(name: object) -> str:
    if name is None:
        raise ApiError("missing_model", "the body names no model; GET /v1/models lists them", param="model")
    if not isinstance(name, str):
        raise ApiError("invalid_value", "model must be a string; GET /v1/models lists them", param="model")
    if not name:  # as is a name in a large body's outline that is longer than any
        message = "the model's name is empty, or longer than any; GET /v1/models lists them"
        raise ApiError("model_not_found", message, param="model")
    return name


def _model_of_message(call: Call) -> str:
    try:
        name = v2.name_of(call.route.rpc, call.body, cut_off=True)  # the edge reads no more than it needs
    except ValueError as err:
        raise ApiError("invalid_value", f"the request is not a V2 message: {err}") from err
    if not name:
        raise ApiError("missing_model", "the request names no model; RepositoryIndex lists them", param="model")
    assert isinstance(call.edge, RpcEdge)
    if call.route.rpc not in v2.STREAMS:
        call.edge.hold_to(v2.name_field(call.route.rpc), name)
    elif call.identity is not None and call.identity.models:
        # Each message of a stream names its own model, and a server may have others that this tenant may not use.
        call.edge.hold_messages_to(v2.name_field(call.route.rpc), name)
    return name


def _parse_form(call: Call, form: Form, default_model: Callable[[Identity | None], str]) -> None:
    _require_plain(call)
    if len(call.body) > FORM_BYTES:
        raise ApiError("body_too_large", f"a short form has at most {FORM_BYTES} bytes; use /v1/chat/completions")
    payload = form.request(call.body, call.params)
    # Short forms alone may leave it out. Where OpenAI's field is missing vLLM takes its one model; a gateway would
    # guess.
    payload["model"] = call.model_name = payload.get("model") or default_model(call.identity) or _model_of(None)
    call.stream = payload.get("stream") is True
    if call.identity is not None:
        call.asked = asked_output(payload)
    call.body = orjson.dumps(payload)
