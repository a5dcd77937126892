"""The gateway's own errors: its faults, and upstreams that gave no usable response."""

from switchyard.http.api_errors import ApiError
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
