"""What keeps a graph from answering."""


class GraphFailure(Exception):
    """A request cannot be answered; ``status`` and the message are what its client gets."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(cause)
        self.status = status


class NoMatch(GraphFailure):
    """No step of a node is for this request."""


class Unreachable(GraphFailure):
    """A step's service gave no answer at all."""

    def __init__(self, cause: str) -> None:
        super().__init__(500, cause)
