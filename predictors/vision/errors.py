"""The one way in which this predictor says no, and how each protocol spells it."""

import grpc

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class Refused(Exception):
    """A request that is not answered: an HTTP status and a sentence for whoever sent it.

    ``retry_after`` is in seconds; a 503 always has one.
    """

    def __init__(self, status: int, sentence: str, *, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.retry_after = 1 if status == 503 and retry_after is None else retry_after

    @property
    def code(self) -> grpc.StatusCode:
        """The same in gRPC."""
        return _CODES.get(self.status, grpc.StatusCode.INTERNAL)


def http_status(code: grpc.StatusCode) -> int:
    """The HTTP status that says what a gRPC status says."""
    return _STATUSES.get(code, 500)


def triton_is_away() -> Refused:
    """While Triton starts or is started anew."""
    return Refused(503, "Triton does not answer: it is starting, or is being started anew; try again")
