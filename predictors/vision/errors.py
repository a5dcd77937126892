"""Errors of this predictor that more than one of its protocols has, and what they are in gRPC."""

import re

import grpc

from switchyard.http.api_errors import ApiError
from switchyard.rpc import status as table
from switchyard.rpc.status import RpcStatus

_OF_TRITON = {404: "model_not_found", 503: "overloaded"}
# What Triton 2.51 says with 500 of requests that it cannot read, and what it means; all others of its sentences stay.
_NOT_JSON = "failed to parse the request JSON buffer: "
_UNREADABLE = re.compile(
    r"(?:Unable to parse '(\w+)': |failed to get request params\.: |(?=attempt to ))(.*)", re.DOTALL
)
_REASONS = (
    (re.compile(r"attempt to access non-existing object member '(\w+)'"), r"'\1' is missing"),
    (re.compile(r"attempt to access JSON non-(\w+) as \w+"), r"it must be of type \1"),
    (re.compile(r"attempt to get members for non-object"), "it must be of type object"),
)
_NOT_SERVED = re.compile(r"Request for unknown model: '(.*)' version (-?\d+) is not at ready state", re.DOTALL)
# NVIDIA's backend for ONNX gives ONNX Runtime's words, with its source files, from here on to the end.
_IN_ONNX_RUNTIME = re.compile(
    r"onnx runtime error \d+: Non-zero status code returned while running (\w+) node.*", re.DOTALL
)


def triton_is_away() -> ApiError:
    """Return the error while Triton starts, or is started again."""
    message = "Triton does not respond: it is starting or restarting; try again"
    return ApiError("upstream_unreachable", message)


def version_not_served(reason: str) -> ApiError | None:
    """Return the error for Triton's reason if it is that a loaded model has another version in service."""
    if not (found := _NOT_SERVED.search(reason)):
        return None
    model, version = found[1], found[2]
    message = f"version {version} of model {model!r} is not served; GET /v2/models/{model} lists the versions that are"
    return ApiError("model_not_found", message, param="version")


def of_triton(status: int, reason: str) -> ApiError:
    """Return Triton's own error with its HTTP status; a request that it cannot read is its client's fault."""
    if missing := version_not_served(reason):
        return missing
    if reason.startswith(_NOT_JSON):
        return ApiError("invalid_json", f"the body is not JSON: {reason.removeprefix(_NOT_JSON)}")
    if unreadable := _UNREADABLE.fullmatch(reason):
        field, why = unreadable[1] or "the request", unreadable[2]
        for theirs, ours in _REASONS:
            why = theirs.sub(ours, why)
        return ApiError("invalid_value", f"{field} cannot be read: {why}", param=unreadable[1])
    reason = _IN_ONNX_RUNTIME.sub(
        r"ONNX Runtime's operator \1 cannot compute with these inputs; the model may take other shapes or values",
        reason,
    )
    code = _OF_TRITON.get(status, "invalid_value" if status < 500 else "model_error")
    return ApiError(code, reason, status=status)


def http_status(code: grpc.StatusCode) -> int:
    """Return the HTTP status that says what a gRPC status says."""
    return table.to_http(RpcStatus(code.value[0]))
