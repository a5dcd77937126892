"""Errors of this predictor that more than one of its protocols has, and what they are in gRPC."""

import grpc

from switchyard.http.api_errors import ApiError
from switchyard.rpc import status as table
from switchyard.rpc.status import RpcStatus

_GRPC = {code.value[0]: code for code in grpc.StatusCode}
_OF_TRITON = {404: "model_not_found", 503: "overloaded"}


def triton_is_away() -> ApiError:
    """Return the error while Triton starts, or is started again."""
    message = "Triton does not respond: it is starting or restarting; try again"
    return ApiError("upstream_unreachable", message)


def of_triton(status: int, reason: str) -> ApiError:
    """Return Triton's own error with its HTTP status."""
    code = _OF_TRITON.get(status, "invalid_value" if status < 500 else "model_error")
    return ApiError(code, reason, status=status)


def grpc_code(error: ApiError) -> grpc.StatusCode:
    """Return the gRPC status that says what an error says."""
    return _GRPC[table.of_http(error.status)]


def http_status(code: grpc.StatusCode) -> int:
    """Return the HTTP status that says what a gRPC status says."""
    return table.to_http(RpcStatus(code.value[0]))
