"""Errors of one request to a graph."""

from switchyard.http.api_errors import ApiError


class GraphRequestError(ApiError):
    """The graph has no response for a request; the client gets ``status`` and the message."""

    def __init__(self, status: int, cause: str, code: str = "graph_failed") -> None:
        super().__init__(code, cause, status=status)


class NoMatchError(GraphRequestError):
    """No step of a node matches the request."""

    def __init__(self, cause: str) -> None:
        super().__init__(404, cause, "no_step_matches")


class StepUnreachableError(GraphRequestError):
    """A step's service sent no response; KServe's router responds with 500, so this one does."""

    def __init__(self, cause: str) -> None:
        super().__init__(500, cause, "upstream_unreachable")
