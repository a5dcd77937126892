"""What can be wrong with a request before anybody has looked at what it asks."""


class ClientGone(Exception):
    """The client hung up; there is nobody to answer."""


class BodyTooLarge(Exception):
    """The request's body exceeds ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body exceeds {limit} bytes")
        self.limit = limit


class BodyTooSlow(Exception):
    """The request's body did not arrive in time."""
