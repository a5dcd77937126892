"""The error responses of routes: a schema for each protocol, and an example of each code."""

from collections.abc import Mapping
from typing import Any, get_args

from switchyard.gateway.openapi.schemas import TEXT, reference
from switchyard.http.api_errors import CODES, ApiError, Shape, as_object

STATUSES: Mapping[str, str] = {
    "4XX": "The request is at fault; it fails again unless it is changed.",
    "5XX": "The gateway or the model is at fault; `retry-after` says when to try again, where that may help.",
}
SCHEMAS: Mapping[Shape, str] = {"openai": "OpenAIError", "anthropic": "AnthropicErrorResponse", "v2": "V2Error"}
_PARAMS = {"invalid_value": "temperature", **dict.fromkeys(("missing_model", "model_not_found"), "model")}
# As clients may read them, one for each code; tests compare the codes.
SENTENCES: Mapping[str, str] = {
    "context_length_exceeded": "This model's maximum context length is 2048 tokens. However, your prompt contains at "
    "least 2049 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the "
    "input prompt.",
    "invalid_json": "the body is not JSON: unexpected end of data: line 1 column 17 (char 16)",
    "invalid_schema": "the output cannot follow response_format.json_schema.schema: $ref: it leads to itself without "
    "anything between",
    "invalid_value": "field temperature has a value of the wrong type",
    "missing_model": "the body names no model; GET /v1/models lists them",
    "pictures_not_read": "model chat-fast reads text only; send the image to /v1/ocr, and its text to the model",
    "wrong_model_kind": "model embed is an embedding model; this route takes adapter, graph, llm",
    "invalid_api_key": "the API key is not known here; ask whoever gave it to you",
    "permission_denied": "the API key acme-ci has no role admin, which /v2/models/stats needs; ask for one that has",
    "page_not_allowed": "a page of https://a.example sent this; CORS_ALLOW_ORIGINS of a gateway names those that may",
    "model_not_found": "there is no model chat-fats; GET /v1/models lists them",
    "no_step_matches": "None of the routes matched with the switch condition of node root",
    "not_found": "GET /v1/chat is not served here; GET /docs lists what is",
    "method_not_allowed": "/v1/models allows GET, OPTIONS, HEAD, not DELETE",
    "body_too_slow": "the body did not arrive within 60 s; send it faster",
    "idempotency_unknown": "the gateway that made this response was lost; send the request again with the same key",
    "key_conflict": "there is a key acme-ci; choose another id",
    "model_in_use": "model 'ocr-detection' is a step of ocr, which is loaded or in use: unload that first",
    "response_cancelled": "this response was cancelled",
    "body_too_large": "the body is longer than 33554432 bytes; send less",
    "unsupported_media_type": "content-type is text/plain; send content-type: application/json",
    "name_not_served": "nothing here is called a.example: use localhost, an address, or ALLOWED_HOSTS of a gateway",
    "idempotency_mismatch": "this idempotency key was sent with another request; send a key of its own with each one",
    "upgrade_required": "/v1/stream is a WebSocket: shake hands by RFC 6455, over HTTP/1.1",
    "too_many_requests": "model chat-fast is full, and tenant acme has 512 requests with 1048576 bytes waiting, "
    "as many as it may; send fewer at a time, and try again",
    "insufficient_quota": "tenant acme may have 1000000 tokens per day, and 999871 are taken and this request takes "
    "512; the next day begins at 2026-12-01T00:00+01:00 (Europe/Berlin)",
    "rate_limit_exceeded": "key acme-ci may have 60 requests per minute, and 60 are taken and this request takes 1; "
    "try again in 12 s",
    "limits_unknown": "a limit of tenant acme cannot be checked, as the store does not respond; try again",
    "not_implemented": "model embed serves no gRPC; use V2 over HTTP",
    "invalid_http": "a request has exactly one host header, not 2",
    "graph_failed": "invalid response: step chat-fast of node root gave no JSON",
    "internal_error": "the gateway failed; its log has the reason under this x-request-id",
    "model_error": "model 'ocr' failed on this request; the reason is in the service's log",
    "upstream_closed": "model chat-fast closed the connection before its response was complete",
    "upstream_invalid": "model chat-fast sent a response that cannot be forwarded",
    "catalog_unreadable": "the list of models cannot be read; try again",
    "deadline_too_short": "model chat-fast is full, and a place is likely to be free in 12 s; try again then",
    "issuer_unavailable": "the keys of corporate-login cannot be read; try again",
    "model_failed": "model chat-fast failed: its folder has no config.json",
    "model_not_ready": "model 'ocr' is still being loaded after 120 s; try again",
    "overloaded": "the gateway has 2048 requests in flight; try again",
    "shutting_down": "this predictor is stopping; another one responds",
    "store_unavailable": "the store of keys does not respond; try again",
    "upstream_unreachable": "model chat-fast cannot be reached; try again",
    "usage_unreadable": "the store of usage does not respond; try again",
    "deadline_exceeded": "the response was not complete within 10 s; ask for less, or give it more time",
    "not_cached": "the request asks for a response from the cache alone (only-if-cached), and there is none",
    "upstream_timeout": "model chat-fast did not respond in time; try again or ask for less",
}


def error_responses() -> dict[str, Any]:
    """Return the error responses of every protocol, named ``<shape>-<statuses>``."""
    return {
        f"{shape}-{statuses}": {"description": about, "content": _content(shape, statuses)}
        for shape in get_args(Shape)
        for statuses, about in STATUSES.items()
    }


def _content(shape: Shape, statuses: str) -> dict[str, Any]:
    codes = [code for code, status in CODES.items() if str(status)[0] == statuses[0]]
    errors = {code: ApiError(code, SENTENCES.get(code, code), param=_PARAMS.get(code)) for code in codes}
    if shape == "text":
        texts = {code: {"summary": f"{error.status} {code}", "value": error.message} for code, error in errors.items()}
        return {"text/plain": {"schema": TEXT, "examples": texts}}
    examples = {
        code: {"summary": f"{error.status} {code}", "value": as_object(error, shape)} for code, error in errors.items()
    }
    return {"application/json": {"schema": reference(SCHEMAS[shape]), "examples": examples}}
