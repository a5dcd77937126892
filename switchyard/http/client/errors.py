"""Errors between this process and an upstream.

::

    UpstreamError              ``retryable``: no byte of a response arrived and the request may be sent again
    ├── ConnectError           no connection: refused, unknown host, TLS                 retryable
    ├── UpstreamTimeoutError   a timeout passed                                          retryable while connecting
    ├── ConnectionClosedError  the connection closed before the response was complete    retryable before its first byte
    ├── RemoteProtocolError    the upstream does not speak HTTP/1.1
    └── ResponseTooLargeError  headers or body exceed a limit of this process
"""


class UpstreamError(Exception):
    """No usable response; ``retryable`` when no byte of one arrived and sending the request again is safe."""

    code = "upstream_invalid"  # what clients are told, a key of ``api_errors.CODES``

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class ConnectError(UpstreamError):
    """No connection could be opened."""

    code = "upstream_unreachable"

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class UpstreamTimeoutError(UpstreamError):
    """A timeout passed; not retryable once the request is sent, because the upstream may still be working on it."""

    code = "upstream_timeout"


class ConnectionClosedError(UpstreamError):
    """The connection closed before the response was complete."""

    code = "upstream_closed"


class RemoteProtocolError(UpstreamError):
    """The upstream violated HTTP/1.1."""


class ResponseTooLargeError(UpstreamError):
    """The response exceeds a limit."""
