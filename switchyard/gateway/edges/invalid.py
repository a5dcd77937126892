"""Responds to what never becomes a call: a request that is no valid HTTP, or that the server itself rejects."""

import logging

from switchyard.gateway.call import request_id
from switchyard.http.api_errors import error_response, server_code
from switchyard.http.headers import Header
from switchyard.telemetry.metrics.gateway import AccessMetrics

logger = logging.getLogger(__name__)

_USUAL = (400, 403, 408, 421, 431, 501, 503)


class InvalidRequests:
    """The server's ``ErrorResponse``: counts each such request, and writes its line where calls have one.

    They have no span, and so no ``traceresponse``. A line holds nothing of the request: it may be anything.
    """

    def __init__(self, metrics: AccessMetrics, *, log_requests: bool) -> None:
        self._count = metrics.invalid_requests.labels
        self._level = logging.INFO if log_requests else logging.DEBUG
        for status in _USUAL:
            self._count(str(status))  # at 0: a rate sees the first one too

    def __call__(self, status: int, message: str, path: bytes) -> tuple[list[Header], bytes]:
        """Return the headers and the body of the response, in the error shape of its path."""
        headers, body = error_response(status, message, path)
        identifier = request_id(None)
        self._count(str(status)).inc()
        if logger.isEnabledFor(self._level):
            said = {"request_id": identifier.decode(), "status": status, "error": server_code(status)}
            logger.log(self._level, "an invalid request", extra=said)
        return [*headers, (b"server", b"switchyard"), (b"x-request-id", identifier)], body
