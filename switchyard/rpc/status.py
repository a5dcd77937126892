"""The outcome of a gRPC call, and the one table between gRPC's statuses and HTTP's.

Numbers and their meaning: https://grpc.io/docs/guides/status-codes/
"""

import math
from base64 import b64encode
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, Protocol
from urllib.parse import quote

from switchyard.rpc.protobuf import write

Field = tuple[bytes, bytes]

_MESSAGE_BYTES: Final = 4096  # of an encoded message; clients take 8 KiB of trailers by default
_DETAIL_CHARACTERS: Final = 1000  # the message is in the trailers once more
# Whose libraries repeat calls by themselves wait this long, or not at all: without a deadline of its own, a call would
# wait for the next day's budget. OpenAI's and Anthropic's clients have the same limit.
_PUSHBACK_SECONDS: Final = 60
_NEVER: Final = b"-1"
PUSHBACK: Final = b"grpc-retry-pushback-ms"
_RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"
_UNESCAPED: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class RpcStatus(IntEnum):
    """A gRPC status by its number."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """Ends a gRPC call with ``status``, a message for the caller and trailing metadata."""

    def __init__(self, status: RpcStatus, message: str, metadata: Sequence[Field] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.metadata = metadata


class ApiFailure(Protocol):
    """What ``switchyard.http.api_errors.ApiError`` has; that module is a layer above."""

    status: int
    message: str
    retry_after: float | None
    final: bool


# From the HTTP status that an HTTP client would get. A status without an entry has that of its class.
_OF_HTTP: Final = {
    400: RpcStatus.INVALID_ARGUMENT,
    401: RpcStatus.UNAUTHENTICATED,
    403: RpcStatus.PERMISSION_DENIED,
    404: RpcStatus.NOT_FOUND,
    405: RpcStatus.UNIMPLEMENTED,
    408: RpcStatus.DEADLINE_EXCEEDED,
    409: RpcStatus.FAILED_PRECONDITION,
    413: RpcStatus.RESOURCE_EXHAUSTED,
    415: RpcStatus.UNIMPLEMENTED,
    429: RpcStatus.RESOURCE_EXHAUSTED,
    431: RpcStatus.RESOURCE_EXHAUSTED,
    499: RpcStatus.CANCELLED,
    500: RpcStatus.INTERNAL,
    501: RpcStatus.UNIMPLEMENTED,
    502: RpcStatus.UNAVAILABLE,
    503: RpcStatus.UNAVAILABLE,
    504: RpcStatus.DEADLINE_EXCEEDED,
}

# The other way: what an HTTP client would get, and what metrics count.
_TO_HTTP: Final = {
    RpcStatus.OK: 200,
    RpcStatus.CANCELLED: 499,
    RpcStatus.UNKNOWN: 500,
    RpcStatus.INVALID_ARGUMENT: 400,
    RpcStatus.DEADLINE_EXCEEDED: 504,
    RpcStatus.NOT_FOUND: 404,
    RpcStatus.ALREADY_EXISTS: 409,
    RpcStatus.PERMISSION_DENIED: 403,
    RpcStatus.RESOURCE_EXHAUSTED: 429,
    RpcStatus.FAILED_PRECONDITION: 409,
    RpcStatus.ABORTED: 409,
    RpcStatus.OUT_OF_RANGE: 400,
    RpcStatus.UNIMPLEMENTED: 501,
    RpcStatus.INTERNAL: 500,
    RpcStatus.UNAVAILABLE: 503,
    RpcStatus.DATA_LOSS: 500,
    RpcStatus.UNAUTHENTICATED: 401,
}

# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_OF_HTTP_RESPONSE: Final = {
    400: RpcStatus.INTERNAL,
    401: RpcStatus.UNAUTHENTICATED,
    403: RpcStatus.PERMISSION_DENIED,
    404: RpcStatus.UNIMPLEMENTED,
    429: RpcStatus.UNAVAILABLE,
    502: RpcStatus.UNAVAILABLE,
    503: RpcStatus.UNAVAILABLE,
    504: RpcStatus.UNAVAILABLE,
}

# gRPC errors that are errors of the HTTP API too, with their code in ``switchyard.http.api_errors``.
_API_CODES: Final = {
    RpcStatus.INVALID_ARGUMENT: "invalid_value",
    RpcStatus.NOT_FOUND: "not_found",
    RpcStatus.RESOURCE_EXHAUSTED: "body_too_large",
    RpcStatus.UNIMPLEMENTED: "unsupported_media_type",
    RpcStatus.UNAVAILABLE: "upstream_unreachable",
    RpcStatus.DEADLINE_EXCEEDED: "upstream_timeout",
}


def of_http(status: int) -> RpcStatus:
    """Return the gRPC status for an error that HTTP clients get as ``status``."""
    if 200 <= status < 300:
        return RpcStatus.OK
    known = _OF_HTTP.get(status)
    if known is not None:
        return known
    return RpcStatus.INVALID_ARGUMENT if 400 <= status < 500 else RpcStatus.INTERNAL


def to_http(status: RpcStatus) -> int:
    """Return the HTTP status for ``status``."""
    return _TO_HTTP[status]


def of_http_response(status: int) -> RpcStatus:
    """Return the gRPC status of a call that got an HTTP response without a gRPC status, from a proxy on the way."""
    return _OF_HTTP_RESPONSE.get(status, RpcStatus.UNKNOWN)


def of_number(value: bytes) -> RpcStatus:
    """Return the status of a ``grpc-status`` field; UNKNOWN if it has none."""
    try:
        return RpcStatus(int(value))
    except ValueError:
        return RpcStatus.UNKNOWN


def api_code(err: RpcError) -> tuple[str, str]:
    """Return the code and the message of an ``ApiError`` for ``err``."""
    return _API_CODES.get(err.status, "internal_error"), err.message


def rpc_error(err: ApiFailure) -> RpcError:
    """Return the gRPC error for ``err``; its metadata says whether and when to retry, as HTTP's headers do.

    https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
    """
    status, after = of_http(err.status), err.retry_after
    if err.final:
        return RpcError(status, err.message, ((PUSHBACK, _NEVER),))
    if after is None:
        return RpcError(status, err.message)
    seconds = max(1, math.ceil(after))
    details = b64encode(_retry_info(status, err.message, seconds)).rstrip(b"=")
    pushback = b"%d" % (seconds * 1000) if seconds <= _PUSHBACK_SECONDS else _NEVER
    metadata = ((b"retry-after", b"%d" % seconds), (PUSHBACK, pushback), (b"grpc-status-details-bin", details))
    return RpcError(status, err.message, metadata)


def is_retried(metadata: Iterable[Field]) -> bool:
    """Return whether an error's metadata lets clients' libraries repeat the call by themselves.

    They do so only while they have seen no headers of a response, so all metadata has to come in its trailers (gRFC
    A6).
    """
    return any(name == PUSHBACK and value != _NEVER for name, value in metadata)


def _retry_info(status: RpcStatus, message: str, seconds: int) -> bytes:
    """Encode a ``google.rpc.Status`` whose one detail is a ``google.rpc.RetryInfo``, which clients look for.

    https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
    """
    delay = write(1, write(1, seconds))  # RetryInfo.retry_delay, a Duration of seconds
    detail = write(1, _RETRY_INFO) + write(2, delay)
    return write(1, int(status)) + write(2, message[:_DETAIL_CHARACTERS]) + write(3, detail)


def encode_message(message: str) -> bytes:
    """Encode a ``grpc-message``, percent-encoded UTF-8.

    https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
    """
    return quote(message, safe=_UNESCAPED, errors="replace").encode("ascii")[:_MESSAGE_BYTES]
