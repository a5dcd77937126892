"""Errors of one request to a graph."""


class GraphRequestError(Exception):
    """The graph has no response for a request; the client gets ``status`` and the message."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(cause)
        self.status = status


class NoMatchError(GraphRequestError):
    """No step of a node matches the request."""


class StepUnreachableError(GraphRequestError):
    """A step's service sent no response."""

    def __init__(self, cause: str) -> None:
        super().__init__(500, cause)
