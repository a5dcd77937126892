"""The gateway's own errors: its faults, upstreams that gave no usable response, models' errors in another shape."""

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


def internal() -> ApiError:
    """What a caller sees of a fault in here: nothing but where to look."""
    return ApiError("internal_error", "the gateway failed; its log has the reason under this x-request-id")


def from_upstream(err: UpstreamError, model: str) -> ApiError:
    """The caller's view of an upstream that gave no usable answer."""
    if isinstance(err, ConnectError):
        return ApiError("upstream_unreachable", f"model {model} cannot be reached; try again", retry_after=1)
    if isinstance(err, UpstreamTimeoutError):
        return ApiError("upstream_timeout", f"model {model} did not answer in time; try again or ask for less")
    if isinstance(err, ConnectionClosedError):
        return ApiError("upstream_closed", f"model {model} closed the connection before its answer was complete")
    assert isinstance(err, (RemoteProtocolError, ResponseTooLargeError))
    return ApiError("upstream_invalid", f"model {model} gave an answer that cannot be passed on")


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that ``body`` is; None if it is anything else."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return payload if isinstance(payload, dict) else None


def is_in_shape(payload: dict[str, Any], shape: Shape) -> bool:
    """Return whether a model's error is one that the clients of a protocol read."""
    error = payload.get("error")
    if shape == "v2":
        return isinstance(error, str)
    return isinstance(error, dict) and (shape != "anthropic" or payload.get("type") == "error")


def from_model(status: int, payload: dict[str, Any] | None, model: str) -> ApiError:
    """Return a model's error as one of ours, with its status and sentence, and its code where that is one of ours.

    A ``status`` that is no error's, of what came in place of a stream, becomes 502.
    """
    found = (payload or {}).get("error", payload)
    fields = found if isinstance(found, dict) else {"message": found}
    message = str(fields.get("message") or _faults(fields.get("detail")) or f"model {model} answered with {status}")
    if status < 400:
        return ApiError("upstream_invalid", message)
    code, param = fields.get("code"), fields.get("param")
    if not isinstance(code, str) or code not in CODES:
        code = "invalid_value" if status < 500 else "model_error"
    return ApiError(code, message, status=status, param=param if isinstance(param, str) else None)


def _faults(detail: Any) -> str:
    """FastAPI's ``detail``: a sentence, or a list of what is wrong and where."""
    if not isinstance(detail, list):
        return str(detail or "")
    faults = [fault for fault in detail if isinstance(fault, dict)]
    return "; ".join(f"{'.'.join(map(str, fault.get('loc', ())))}: {fault.get('msg', '')}" for fault in faults)
