"""Errors for the person who gets them: a status, a stable code and a sentence that says what to do, in every shape."""

from typing import Literal

import orjson

from switchyard.http.client.errors import BadAnswer, ClosedEarly, ConnectFailed, TimedOut, TooLarge, UpstreamError

Shape = Literal["openai", "messages", "v2", "text"]

# What a client can meet; docs/reference/http-api.md explains each.
CODES: dict[str, int] = {
    "invalid_json": 400,
    "invalid_value": 400,
    "missing_model": 400,
    "pictures_not_read": 400,
    "wrong_model_kind": 400,
    "model_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "internal_error": 500,
    "upstream_closed": 502,
    "upstream_invalid": 502,
    "catalog_unreadable": 503,
    "model_failed": 503,
    "overloaded": 503,
    "upstream_unreachable": 503,
    "upstream_timeout": 504,
}


class GatewayError(Exception):
    """Ends a request: ``code`` is a key of ``CODES``, ``retry_after`` seconds, ``param`` the field at fault."""

    def __init__(
        self, code: str, message: str, *, retry_after: int | None = None, param: str | None = None, allow: str = ""
    ) -> None:
        super().__init__(message)
        self.status = CODES[code]
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.param = param
        self.allow = allow


def internal() -> GatewayError:
    """What a caller sees of a fault in here: nothing but where to look."""
    return GatewayError("internal_error", "the gateway failed; its log has the reason under this x-request-id")


def from_upstream(err: UpstreamError, model: str) -> GatewayError:
    """The caller's view of an upstream that gave no usable answer."""
    if isinstance(err, ConnectFailed):
        return GatewayError("upstream_unreachable", f"model {model} cannot be reached; try again", retry_after=1)
    if isinstance(err, TimedOut):
        return GatewayError("upstream_timeout", f"model {model} did not answer in time; try again or ask for less")
    if isinstance(err, ClosedEarly):
        return GatewayError("upstream_closed", f"model {model} closed the connection before its answer was complete")
    assert isinstance(err, (BadAnswer, TooLarge))
    return GatewayError("upstream_invalid", f"model {model} gave an answer that cannot be passed on")


def as_object(error: GatewayError, shape: Shape) -> dict[str, object]:
    """The JSON object of an error in a protocol's shape."""
    if shape == "v2":
        return {"error": error.message, "code": error.code}
    if shape == "messages":  # https://docs.anthropic.com/en/api/errors
        return {"type": "error", "error": {"type": _kind(error), "message": error.message, "code": error.code}}
    return {"error": {"message": error.message, "type": _kind(error), "param": error.param, "code": error.code}}


def render(error: GatewayError, shape: Shape) -> tuple[bytes, bytes]:
    """Content type and body of an error."""
    if shape == "text":
        return b"text/plain; charset=utf-8", error.message.encode() + b"\n"
    return b"application/json", orjson.dumps(as_object(error, shape))


def event(error: GatewayError, shape: Shape) -> bytes:
    """The server-sent event of an error that comes after the head of a stream."""
    name = b"event: error\n" if shape == "messages" else b""
    return name + b"data: " + orjson.dumps(as_object(error, shape)) + b"\n\n"


def _kind(error: GatewayError) -> str:
    if error.status >= 500:
        return "server_error"
    return "not_found_error" if error.code == "not_found" else "invalid_request_error"
