"""The memory of all request bodies of a server, and of gRPC messages that are read whole."""

from switchyard.http.request_errors import BadRequestError
from switchyard.shares import Shares

BESIDE_BYTES = 8 * 1024 * 1024  # for shorter bodies beside the longest, and as much again for small ones
_FAIR_BYTES = 64 * 1024


class BodyMemory(Shares):
    """Counts the bytes of bodies by their owners, None for what nobody owns; ``most`` were used at a time of late."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.most = 0
        self._beside = min(limit // 2, BESIDE_BYTES)

    def excess(self, owner: str | None, size: int) -> BadRequestError | None:
        """Return why a body of which ``size`` bytes are counted is not accepted; None if it is.

        While 8 MiB remain for others, small bodies are accepted, and an owner's only one however long. An owner that
        holds hardly any may take 8 MiB beyond the limit too.
        """
        full = self.full(owner, 0)
        if full is None:
            return None
        held, free = size if owner is None else self.held(owner), self.total - self.used
        if (size <= _FAIR_BYTES or held == size) and free >= self._beside:
            return None
        if held <= _FAIR_BYTES and free >= -self._beside:
            return None
        if full == "platform" or held == size:
            return BadRequestError(503, "the server holds as many request bodies as it may; try again shortly")
        message = f"the request bodies of {owner} that are in flight have {held} bytes, as many as there is room for"
        return BadRequestError(429, f"{message}; send fewer at a time, and try again")
