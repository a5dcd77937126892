"""What a client has sent of its call: looked at, and kept until it has gone on and need not be sent again.

A message is a byte that says whether it is compressed, its length in four, and its bytes
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
"""

import asyncio
import zlib

from switchyard.http.h2.stream import Stream
from switchyard.rpc.status import RpcError, RpcStatus

PREFIX = 5

# For another attempt. gRPC's own clients keep as much of a call (grpc.per_rpc_retry_buffer_size).
KEPT_BYTES = 256 * 1024
KEPT_BYTES_OF_CONNECTION = 4 * 1024 * 1024  # with that, a connection costs at most twice its window

_ENCODINGS = (b"gzip", b"deflate")
_EITHER = 32 + zlib.MAX_WBITS  # gzip's or zlib's header, whichever is there
_ACCEPTED = ((b"grpc-accept-encoding", b"identity,deflate,gzip"),)


def framed(message: bytes) -> bytes:
    """A message as it is sent, uncompressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Kept:
    """How many bytes the calls of one connection keep for another attempt."""

    def __init__(self) -> None:
        self.size = 0


class Received:
    """The bytes of one call so far; ``complete`` when its client has sent all.

    ``chunks`` is None once they have gone on and cannot be sent again. Of the ``size`` bytes in it, the first
    ``acknowledged`` have made room for more in the client's windows, or will when they have been written upstream.
    """

    __slots__ = ("_counted", "_kept", "_stream", "_waiter", "_whole", "acknowledged", "chunks", "complete", "size")

    def __init__(self, stream: Stream, kept: Kept, *, complete: bool) -> None:
        self.chunks: list[bytes] | None = []
        self.complete = complete
        self.size = self.acknowledged = 0
        self._stream = stream
        self._kept = kept
        self._counted = 0  # of ours in ``kept``
        self._whole = 0  # bytes of a first message that was asked for whole: they are kept, however many
        self._waiter: asyncio.Future[None] | None = None

    def add(self, chunk: bytes, *, end: bool) -> None:
        """Keeps what waits to go on."""
        self.complete = end
        if self.chunks is None:
            self._stream.left(len(chunk))
        elif chunk:
            self.chunks.append(chunk)
            self.size += len(chunk)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def peekable(self, peek: int) -> bool:
        """Whether ``peek`` bytes of the first message, or all of it, are there, or will never be."""
        if self.complete:
            return True
        if self.size < PREFIX:
            return False
        return self.size >= PREFIX + min(int.from_bytes(self.joined()[1:PREFIX], "big"), peek)

    def joined(self) -> bytes:
        """All that is kept."""
        if self.chunks is None:
            return b""
        if len(self.chunks) > 1:
            self.chunks = [b"".join(self.chunks)]
        return self.chunks[0] if self.chunks else b""

    async def first_message(self, limit: int, peek: int | None, encoding: bytes, seconds: float | None) -> bytes:
        """The first message, decompressed, whole or its first ``peek`` bytes, ``seconds`` after its first byte.

        Raises:
            RpcError: there is none, it breaks off or comes too slowly, has more than ``limit`` bytes or an unknown
                encoding.
        """
        await self._until(1)  # for as long as it takes: clients open streams before they have anything to send
        try:
            async with asyncio.timeout(seconds):
                message, compressed = await self._first(limit, peek)
        except TimeoutError:
            raise RpcError(RpcStatus.DEADLINE_EXCEEDED, f"the message did not arrive within {seconds:g} s") from None
        return _decompressed(message, encoding, limit, peek) if compressed else message

    async def _first(self, limit: int, peek: int | None) -> tuple[bytes, bool]:
        await self._until(PREFIX)
        begun = self.joined()
        if len(begun) < PREFIX:
            raise RpcError(RpcStatus.INVALID_ARGUMENT, "the call ended before its first message was complete")
        flag, length = begun[0], int.from_bytes(begun[1:PREFIX], "big")
        if length > limit:
            raise _too_large(length, limit)
        if peek is None or flag:  # what is compressed may say nothing before its end
            self._whole = end = PREFIX + length
        else:
            end = PREFIX + min(length, peek)
        await self._until(end)
        if self.size < end:
            raise RpcError(RpcStatus.INVALID_ARGUMENT, "the call ended before its first message was complete")
        return self.joined()[PREFIX:end], flag != 0

    async def _until(self, size: int) -> None:
        while self.size < size and not self.complete:
            if self._whole:  # more than the window may have to come
                self.acknowledge()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def acknowledge(self) -> None:
        """Lets the client send as much again as it has sent."""
        if owed := self.size - self.acknowledged:
            self.acknowledged = self.size
            self._stream.left(owed)

    def sent(self, chunk: bytes = b"") -> None:
        """All that was kept, and ``chunk``, has gone on; keeps it for another attempt as long as that may be."""
        if self.chunks is None:
            return
        if chunk:
            self.chunks.append(chunk)
            self.size += len(chunk)
        self.acknowledged = self.size
        if self.size <= self._whole:
            return
        self._kept.size += self.size - self._counted
        self._counted = self.size
        if self.size > KEPT_BYTES or self._kept.size > KEPT_BYTES_OF_CONNECTION:
            self.drop()

    def drop(self) -> None:
        """Nothing of it will be needed again."""
        if self.chunks is not None:
            self.acknowledge()
            self.chunks = None
            self._kept.size -= self._counted


def _decompressed(message: bytes, encoding: bytes, limit: int, peek: int | None) -> bytes:
    if encoding not in _ENCODINGS:
        said = encoding[:20].decode("latin-1")
        text = f"messages encoded with {said!r} are not read here; send them as they are, or with gzip or deflate"
        raise RpcError(RpcStatus.UNIMPLEMENTED, text, _ACCEPTED)
    stream = zlib.decompressobj(_EITHER)
    try:
        made = stream.decompress(message, limit + 1 if peek is None else peek)
    except zlib.error as err:
        raise RpcError(RpcStatus.INVALID_ARGUMENT, f"the first message cannot be decompressed: {err}") from err
    if len(made) > limit:
        raise _too_large(len(made), limit)
    if peek is None and (stream.unused_data or not stream.eof):
        raise RpcError(RpcStatus.INVALID_ARGUMENT, "the first message is cut short, or goes on behind its end")
    return made


def _too_large(size: int, limit: int) -> RpcError:
    return RpcError(RpcStatus.RESOURCE_EXHAUSTED, f"the message has {size} bytes or more; at most {limit} are taken")
