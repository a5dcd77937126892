"""What can go wrong between this process and an upstream.

::

    UpstreamError          ``retryable``: nothing of an answer was seen and the request may be sent again
    ├── ConnectFailed      no connection: refused, unknown host, TLS             retryable
    ├── TimedOut           a deadline passed                                     retryable while connecting
    ├── ClosedEarly        the connection ended before the answer did            retryable before its first byte
    ├── BadAnswer          what came is not HTTP/1.1
    └── TooLarge           headers or body exceed a limit of this process
"""


class UpstreamError(Exception):
    """An upstream gave no usable answer; ``retryable`` when no byte of one was seen and a repeat is sensible."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class ConnectFailed(UpstreamError):
    """No connection could be opened."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class TimedOut(UpstreamError):
    """A deadline passed; one that passed after the request was sent is not retryable, because the work may go on."""


class ClosedEarly(UpstreamError):
    """The upstream closed the connection before its answer was complete."""


class BadAnswer(UpstreamError):
    """The upstream broke the protocol."""


class TooLarge(UpstreamError):
    """The answer exceeds a limit."""
