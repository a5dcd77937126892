"""Errors of a request that are found before a handler reads its content."""


class ClientDisconnectedError(Exception):
    """The client disconnected before the response was complete."""


class BadRequestError(Exception):
    """A request that a handler cannot process, or not to its end; ``status`` is the status of the response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class BodyTooLargeError(Exception):
    """The request body exceeds ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body exceeds {limit} bytes")
        self.limit = limit


class BodyTooSlowError(Exception):
    """The request body did not arrive in time."""
