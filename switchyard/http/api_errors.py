"""Errors for the person who gets them: a status, a stable code and a message that says what to do, in every shape."""

import math
from collections.abc import Callable
from typing import Literal

import orjson

from switchyard.http.headers import Header
from switchyard.http.request_errors import BadRequestError, BodyTooLargeError, BodyTooSlowError

Shape = Literal["openai", "anthropic", "v2", "text"]
# Makes the headers and the body of a server's own responses, from the status, a message and the path.
ErrorResponse = Callable[[int, str, bytes], tuple[list[Header], bytes]]

# OpenAI's and Anthropic's clients go by it before the status (``_should_retry`` in their ``_base_client.py``).
NO_RETRY: Header = (b"x-should-retry", b"false")

# What a client can meet; docs/reference/errors.md explains each.
CODES: dict[str, int] = {
    "context_length_exceeded": 400,
    "invalid_http": 400,
    "invalid_json": 400,
    "invalid_schema": 400,
    "invalid_value": 400,
    "missing_model": 400,
    "pictures_not_read": 400,
    "wrong_model_kind": 400,
    "invalid_api_key": 401,
    "page_not_allowed": 403,
    "permission_denied": 403,
    "model_not_found": 404,
    "no_step_matches": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "idempotency_unknown": 409,
    "key_conflict": 409,
    "model_in_use": 409,
    "response_cancelled": 409,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "name_not_served": 421,
    "idempotency_mismatch": 422,
    "upgrade_required": 426,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "too_many_requests": 429,
    "graph_failed": 500,
    "internal_error": 500,
    "model_error": 500,
    "not_implemented": 501,
    "upstream_closed": 502,
    "upstream_invalid": 502,
    "catalog_unreadable": 503,
    "deadline_too_short": 503,
    "issuer_unavailable": 503,
    "limits_unknown": 503,
    "model_failed": 503,
    "model_not_ready": 503,
    "overloaded": 503,
    "shutting_down": 503,
    "store_unavailable": 503,
    "upstream_unreachable": 503,
    "usage_unreadable": 503,
    "deadline_exceeded": 504,
    "not_cached": 504,
    "upstream_timeout": 504,
}

# A server's own errors; all others say that a request is not HTTP.
_SERVER_CODES = {
    403: "page_not_allowed",
    408: "body_too_slow",
    413: "body_too_large",
    421: "name_not_served",
    429: "too_many_requests",
    500: "internal_error",
    501: "not_implemented",
    503: "overloaded",
}
# Everything else is the request's fault below 500 and the server's above.
_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
# https://docs.anthropic.com/en/api/errors
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# The paths that take and return plain text, less the one of OpenAI's that lies between them.
_TEXT = ("/v1/chat/", "/v1/code/")
_CHAT = "/v1/chat/completions"
_KSERVE_V1 = (":predict", ":explain")  # KServe's first protocol: errors as in its second


class ApiError(Exception):
    """Ends a request: ``code`` is a key of ``CODES``, ``param`` the field at fault, ``allow`` a path's methods.

    ``status`` is the code's unless a model behind has said another. ``retry_after`` is in seconds; a 503 has it, unless
    it is ``final``: no time but a person ends it, so official clients, which repeat 503 by themselves, are told not to.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        final: bool = False,
        param: str | None = None,
        allow: str = "",
    ) -> None:
        super().__init__(message)
        self.status = CODES[code] if status is None else status
        self.code = code
        self.message = message
        self.retry_after = 1 if self.status == 503 and retry_after is None and not final else retry_after
        self.final = final
        self.param = param
        self.allow = allow

    @property
    def headers(self) -> list[Header]:
        """The headers of the response: whether and when to retry, which methods there are, that a key is asked for."""
        headers: list[Header] = []
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(self.retry_after))))
        if self.final:
            headers.append(NO_RETRY)
        if self.code == "invalid_api_key":  # RFC 9110 §11.6.1; a model's own 401 is about another key
            headers.append((b"www-authenticate", b'Bearer realm="switchyard"'))
        if self.allow:
            headers.append((b"allow", self.allow.encode()))
        return headers


def of_body(err: BadRequestError | BodyTooLargeError | BodyTooSlowError, hint: str = "send less") -> ApiError:
    """Return the error of a body that was not received; ``hint`` says what to do about one that is too large."""
    if isinstance(err, BodyTooLargeError):
        return ApiError("body_too_large", f"{err}; {hint}")
    if isinstance(err, BadRequestError):
        return _own(err.status, str(err))
    return ApiError("body_too_slow", str(err))


def shape_of(path: bytes | str) -> Shape:
    """Return the error shape of a path, with or without ``/openai`` before it; a path of no protocol gets OpenAI's."""
    text = path.decode("latin-1") if isinstance(path, bytes) else path
    if text == "/v2" or text.startswith("/v2/") or text.endswith(_KSERVE_V1):
        return "v2"
    text = text.removeprefix("/openai")
    if text == "/v1/messages" or text.startswith("/v1/messages/"):
        return "anthropic"
    if text.startswith(_TEXT) and text != _CHAT and not text.startswith(_CHAT + "/"):
        return "text"
    return "openai"


def error_response(status: int, message: str, path: bytes) -> tuple[list[Header], bytes]:
    """Return headers and body of a response by the server itself, in the error shape of its path."""
    error = _own(status, message)
    content_type, body = render(error, shape_of(path))
    return [(b"content-type", content_type), *error.headers], body


def server_code(status: int) -> str:
    """Return the code of a server's own error."""
    return _SERVER_CODES.get(status, "invalid_http")


def _own(status: int, message: str) -> ApiError:
    """Return a server's own error; a 429 is about what a client holds, which it may give back at any time."""
    after = 1 if status == 429 else None
    return ApiError(server_code(status), message, status=status, retry_after=after)


def as_object(error: ApiError, shape: Shape) -> dict[str, object]:
    """Return the JSON object of an error in a protocol's shape."""
    if shape == "v2":
        return {"error": error.message, "code": error.code}
    if shape == "anthropic":  # its client shows error_code as the exception's
        details = {"error_code": error.code}
        return {
            "type": "error",
            "error": {"type": _anthropic_type(error), "message": error.message, "details": details},
        }
    fields = {"message": error.message, "type": _openai_type(error), "param": error.param, "code": error.code}
    return {"error": fields}


def render(error: ApiError, shape: Shape) -> tuple[bytes, bytes]:
    """Return content type and body of an error."""
    if shape == "text":
        return b"text/plain; charset=utf-8", error.message.encode() + b"\n"
    return b"application/json", orjson.dumps(as_object(error, shape))


def event(error: ApiError, shape: Shape) -> bytes:
    """Return the server-sent event of an error after a stream's headers."""
    return error_event(as_object(error, shape), shape)


def error_event(payload: dict[str, object], shape: Shape) -> bytes:
    """Return the server-sent event of an error in its protocol's shape; Anthropic's clients go by the event's name."""
    name = b"event: error\n" if shape == "anthropic" else b""
    return name + b"data: " + orjson.dumps(payload) + b"\n\n"


def _openai_type(error: ApiError) -> str:
    if error.code == "model_not_found":  # a wrong value of a field, as OpenAI's own API has it
        return "invalid_request_error"
    if error.code == "insufficient_quota":  # likewise
        return error.code
    return _OPENAI_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")


def _anthropic_type(error: ApiError) -> str:
    return _ANTHROPIC_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
