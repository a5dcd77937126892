"""Sees when a gRPC model's response began, and whether a message of a V2 stream is an error."""

from collections.abc import Callable

from switchyard.gateway.call import Call
from switchyard.http.h2.grpc_call import PREFIX
from switchyard.rpc.v2 import ERROR_TAG


class MessageWatch:
    """Is shown the bytes of a response; ``on_first`` is called at the first that are of no error.

    An error in a message of a stream leaves its status OK, and other requests of it may go well: such a call is
    ``broken``. Messages that are compressed are taken for responses.
    """

    __slots__ = ("_call", "_on_first", "_rest", "_skip", "_streams")

    def __init__(self, call: Call, on_first: Callable[[], None], *, streams: bool) -> None:
        self._call = call
        self._on_first: Callable[[], None] | None = on_first
        self._streams = streams
        self._rest = b""  # of a message whose first byte has not come
        self._skip = 0  # bytes of the current message that have not come

    def __call__(self, chunk: bytes) -> None:
        if self._streams:
            self._follow(chunk)
        elif self._on_first is not None:
            self._begin()

    def _follow(self, chunk: bytes) -> None:
        data, at = self._rest + chunk, self._skip
        while (start := at + PREFIX) < len(data):
            size = int.from_bytes(data[at + 1 : start], "big")
            if size and not data[at] and data[start] == ERROR_TAG:
                self._call.broken = True
            elif self._on_first is not None:
                self._begin()
            at = start + size
        self._rest, self._skip = data[at:], max(at - len(data), 0)

    def _begin(self) -> None:
        assert self._on_first is not None
        self._on_first()
        self._on_first = None
