"""Errors of a request that are found before a handler reads its content."""


class ClientDisconnectedError(Exception):
    """The client disconnected before the response was complete."""


class BodyTooLargeError(Exception):
    """The request body exceeds ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body exceeds {limit} bytes")
        self.limit = limit


class BodyTooSlowError(Exception):
    """The request body did not arrive in time."""
