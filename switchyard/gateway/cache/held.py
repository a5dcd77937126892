"""Holds a model's response until all of it is there, to be put together with what is known."""

from collections.abc import Sequence

from switchyard.gateway.call import Edge
from switchyard.http.api_errors import ApiError
from switchyard.http.client.response import Sink
from switchyard.http.headers import Header

HELD_BYTES = 64 * 1024 * 1024  # of one response: 512 embeddings of 4096 numbers twice over


class HeldEdge:
    """An ``Edge`` in place of the client's, which keeps the response; what is of the request is the client's edge's."""

    __slots__ = ("_chunks", "_edge", "_size", "code", "headers")

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._chunks: list[bytes] = []
        self._size = 0
        self.code: int | str = 0
        self.headers: list[Header] = []

    @property
    def text(self) -> bytes:
        """The body of the response."""
        return b"".join(self._chunks)

    @property
    def caller(self) -> str:
        return self._edge.caller

    @property
    def started(self) -> bool:
        return self.code != 0

    @property
    def cancelled(self) -> int | str:
        return self._edge.cancelled

    def held_for(self, owner: str) -> None:
        self._edge.held_for(owner)

    async def body(self, limit: int) -> bytes:
        return await self._edge.body(limit)

    def respond(self, status: int, headers: list[Header], body: bytes) -> None:
        self.start(status, headers)
        self.write(body)

    def start(self, status: int, headers: list[Header]) -> None:
        self.code, self.headers = status, headers

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > HELD_BYTES:
            message = f"the model's response has more than {HELD_BYTES} bytes; ask for fewer embeddings at once"
            raise ApiError("upstream_invalid", message)
        self._chunks.append(data)

    async def drain(self) -> None:
        """Wait for nobody: the whole response is held."""

    def end(self) -> None:
        """Do nothing: whoever holds it knows when the call is over."""

    def release(self) -> None:
        self._edge.release()

    def add_headers(self, headers: Sequence[Header]) -> None:
        self._edge.add_headers(headers)

    @property
    def sink(self) -> Sink:
        return self

    @property
    def congested(self) -> bool:
        """Never: the client gets nothing yet."""
        return False

    def fail(self, error: ApiError) -> None:
        self._edge.fail(error)
