"""The gateway's own errors: its faults, upstreams without a usable response, and models' errors in another shape."""

import logging
from http import HTTPStatus
from typing import Any

import orjson

from switchyard.http.api_errors import CODES, ApiError, Shape
from switchyard.http.client.errors import (
    ConnectError,
    ConnectionClosedError,
    RemoteProtocolError,
    ResponseTooLargeError,
    UpstreamError,
    UpstreamTimeoutError,
)

logger = logging.getLogger(__name__)

_NO_ROUTE = (404, 405)  # FastAPI says no more than the status where it has no route


def internal() -> ApiError:
    """Return the error for a fault of the gateway: it says nothing but where to look."""
    return ApiError("internal_error", "the gateway failed; its log has the reason under this x-request-id")


def from_upstream(err: UpstreamError, model: str) -> ApiError:
    """Return the error for an upstream without a usable response, as the caller sees it."""
    # The exception's own text stays in the log: it names addresses behind the gateway.
    if isinstance(err, ConnectError):
        return ApiError("upstream_unreachable", f"model {model} cannot be reached; try again", retry_after=1)
    if isinstance(err, UpstreamTimeoutError):
        return ApiError("upstream_timeout", f"model {model} did not respond in time; try again or ask for less")
    if isinstance(err, ConnectionClosedError):
        return ApiError("upstream_closed", f"model {model} closed the connection before its response was complete")
    assert isinstance(err, (RemoteProtocolError, ResponseTooLargeError))
    return ApiError("upstream_invalid", f"model {model} sent a response that cannot be forwarded")


def as_api_error(err: Exception, model: str) -> ApiError:
    """Return the error that a caller gets for what a stage raised, and log what it is not shown."""
    if isinstance(err, ApiError):
        return err
    if isinstance(err, UpstreamError):
        logger.warning("upstream: %s", err, extra={"model": model})
        return from_upstream(err, model)
    logger.error("a request failed", exc_info=err)
    return internal()


def json_object(body: bytes) -> dict[str, Any] | None:
    """Parse ``body`` if it is a JSON object, else return None."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return payload if isinstance(payload, dict) else None


def is_in_shape(payload: dict[str, Any], shape: Shape) -> bool:
    """Return whether clients of a protocol can read a model's error as it is."""
    error = payload.get("error")
    if shape == "v2":
        return isinstance(error, str) and "code" in payload
    return isinstance(error, dict) and (shape != "anthropic" or payload.get("type") == "error")


def code_of(payload: dict[str, Any]) -> object:
    """Return the code in a model's error of any protocol's shape, None if it has none."""
    error = payload.get("error")
    if not isinstance(error, dict):
        return payload.get("code")
    details = error.get("details")
    return details.get("error_code") if isinstance(details, dict) else error.get("code")


def model_code(status: int, payload: dict[str, Any] | None = None) -> str:
    """Return the code of a model's error: its own where it is one of ours, else that of its ``status``.

    A ``status`` below 400 is that of a response in place of a stream.
    """
    if status < 400:
        return "upstream_invalid"
    # vLLM's code is a number, its status; a text that is one of ``CODES`` comes from a graph, a predictor or an
    # activator.
    code = code_of(payload or {})
    if isinstance(code, str) and code in CODES:
        return code
    return "not_found" if status == 404 else "invalid_value" if status < 500 else "model_error"


def from_model(status: int, payload: dict[str, Any] | None, model: str) -> ApiError:
    """Return a model's error as one of ours, with its status and message, and its code where it is one of ours.

    A ``status`` below 400, of a response in place of a stream, becomes 502.
    """
    found = (payload or {}).get("error", payload)
    fields = found if isinstance(found, dict) else {**(payload or {}), "message": found}
    message = _message(fields, status, model)
    code, param = model_code(status, payload), fields.get("param")
    if status < 400:
        return ApiError(code, message)
    return ApiError(code, message, status=status, param=param if isinstance(param, str) else None)


def _message(fields: dict[str, Any], status: int, model: str) -> str:
    """Return what a model says; FastAPI has a ``detail``, a sentence or a list of faults and their places."""
    if message := fields.get("message"):
        return str(message)
    detail = fields.get("detail")
    if isinstance(detail, list):
        faults = [fault for fault in detail if isinstance(fault, dict)]
        found = "; ".join(f"{'.'.join(map(str, fault.get('loc', ())))}: {fault.get('msg', '')}" for fault in faults)
        return f"model {model} cannot read this request" + (f": {found}" if found else "")
    if status in _NO_ROUTE and (not detail or detail == HTTPStatus(status).phrase):
        return f"model {model} does not serve this path; GET /docs lists what each kind of model serves"
    return str(detail or f"model {model} responded with {status}")
