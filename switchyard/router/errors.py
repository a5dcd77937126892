"""What keeps a graph from answering."""


class GraphRequestError(Exception):
    """A request cannot be answered; ``status`` and the message are what its client gets."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(cause)
        self.status = status


class NoMatchError(GraphRequestError):
    """No step of a node is for this request."""


class StepUnreachableError(GraphRequestError):
    """A step's service gave no answer at all."""

    def __init__(self, cause: str) -> None:
        super().__init__(500, cause)
