"""What a client has sent of its call: read by the handler, and kept until it is forwarded and needs no retry.

A message is one byte that says whether it is compressed, four bytes of length, and its content
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
"""

import asyncio
import zlib

from switchyard.http.api_errors import of_body
from switchyard.http.body_memory import BodyMemory
from switchyard.http.h2.grpc_call.headers import ACCEPTED
from switchyard.http.h2.stream import Stream
from switchyard.rpc.status import RpcError, RpcStatus

PREFIX = 5
_LONGEST = 2**32  # of a message

# For a retry. gRPC's own clients keep as much of a call (grpc.per_rpc_retry_buffer_size).
RETRY_BYTES = 256 * 1024
CONNECTION_RETRY_BYTES = 4 * 1024 * 1024  # so a connection costs at most twice its window

_EITHER = 32 + zlib.MAX_WBITS  # gzip's or zlib's header, whichever is there


def framed(message: bytes) -> bytes:
    """Return an uncompressed message with its prefix."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class _Boundaries:
    """Follows the prefixes of a call's messages as its bytes pass by, to know whether they end with a message's end."""

    __slots__ = ("_left", "_prefix")

    def __init__(self) -> None:
        self._prefix = b""
        self._left = 0  # bytes of the current message

    def feed(self, chunk: bytes) -> None:
        at = 0
        while at < len(chunk):
            if self._left:
                passed = min(self._left, len(chunk) - at)
                self._left -= passed
                at += passed
                continue
            self._prefix += (part := chunk[at : at + PREFIX - len(self._prefix)])
            at += len(part)
            if len(self._prefix) == PREFIX:
                self._left, self._prefix = int.from_bytes(self._prefix[1:], "big"), b""

    @property
    def whole(self) -> bool:
        """Whether the last message has come to its end."""
        return not (self._left or self._prefix)


class RetryMemory:
    """What the calls of one connection keep for a retry."""

    def __init__(self) -> None:
        self.limit = CONNECTION_RETRY_BYTES
        self.used = 0


class Received:
    """The bytes of one call so far; ``complete`` once its client has sent all.

    ``chunks`` is None once they were forwarded and are kept no longer, so that the call cannot be retried. The first
    ``acknowledged`` of its ``size`` bytes are acknowledged to the client, or will be when they are written upstream.
    """

    __slots__ = (
        *("_body_memory", "_boundaries", "_counted", "_held", "_owner", "_reserved", "_retry_memory", "_stream"),
        *("_waiter", "_whole", "acknowledged", "chunks", "complete", "size"),
    )

    def __init__(self, stream: Stream, retry_memory: RetryMemory, body_memory: BodyMemory, *, complete: bool) -> None:
        self.chunks: list[bytes] | None = []
        self.complete = complete
        self.size = self.acknowledged = 0
        self._boundaries = _Boundaries()
        self._stream = stream
        self._retry_memory = retry_memory
        self._body_memory = body_memory
        self._owner: str | None = None
        self._counted = 0  # bytes of this call in ``retry_memory``
        self._held = 0  # and in ``body_memory``
        self._reserved = 0  # and there for others that hold the message
        self._whole = 0  # bytes of a first message that was read whole: they are kept, however many
        self._waiter: asyncio.Future[None] | None = None

    def held_for(self, owner: str) -> None:
        """Count what is held of messages for ``owner``, whose messages are to leave room for others'."""
        if held := self._held + self._reserved:
            self._body_memory.give_back(self._owner, held)
            self._body_memory.take(owner, held)
        self._owner = owner

    def follow(self, chunk: bytes) -> None:
        """Look at a chunk that has come, before it is kept or forwarded."""
        self._boundaries.feed(chunk)

    def require_whole(self) -> None:
        """Check that the call does not end within a message: gRPC's library would wait for its rest for ever.

        Raises:
            RpcError: it does.
        """
        if self.complete and not self._boundaries.whole:
            raise incomplete()

    def check_whole(self, last: bytes) -> None:
        """Do the same when the ``last`` chunk has come, as a guard of the call: a ``ValueError`` says so."""
        if not self._boundaries.whole:
            raise ValueError(incomplete().message)

    def add(self, chunk: bytes, *, end: bool) -> None:
        """Keep a chunk until the call is forwarded."""
        self.complete = end
        if self.chunks is None:
            self._stream.sent(len(chunk))
        elif chunk:
            self.chunks.append(chunk)
            self.size += len(chunk)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def peekable(self, peek: int) -> bool:
        """Return whether ``peek`` bytes of the first message have arrived, or all that ever will."""
        if self.complete:
            return True
        if self.size < PREFIX:
            return False
        return self.size >= PREFIX + min(int.from_bytes(self.joined()[1:PREFIX], "big"), peek)

    def joined(self) -> bytes:
        """Return all bytes that are kept."""
        if self.chunks is None:
            return b""
        if len(self.chunks) > 1:
            self.chunks = [b"".join(self.chunks)]
        return self.chunks[0] if self.chunks else b""

    async def first_message(self, limit: int, peek: int | None, encoding: bytes, seconds: float | None) -> bytes:
        """Return the first message, decompressed: whole, or its first ``peek`` bytes. A compressed one is always whole.

        It must arrive within ``seconds`` of its first byte.

        Raises:
            RpcError: there is no message, or it is incomplete, too slow, longer than ``limit`` bytes or in an unknown
                encoding.
            ApiError: the server, or who sent it, holds too many messages.
        """
        await self._until(1)  # without a timeout: clients open streams before they have anything to send
        if self.peekable(_LONGEST):  # nothing to wait for
            message, compressed = await self._first(limit, peek)
        else:
            message, compressed = await self._first_within(seconds, limit, peek)
        return _decompressed(message, encoding, limit) if compressed else message

    async def _first_within(self, seconds: float | None, limit: int, peek: int | None) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout(seconds):
                return await self._first(limit, peek)
        except TimeoutError:
            raise _too_slow(seconds) from None

    async def _first(self, limit: int, peek: int | None) -> tuple[bytes, bool]:
        await self._until(PREFIX)
        prefix = self.joined()[:PREFIX]
        if len(prefix) < PREFIX:
            raise incomplete()
        flag, length = prefix[0], int.from_bytes(prefix[1:], "big")
        if length > limit:
            raise _too_large(length, limit)
        if peek is None or flag:  # of a compressed one nobody can look at the rest as it passes
            self._whole = end = PREFIX + length
        else:
            end = PREFIX + min(length, peek)
        await self._until(end)
        if self._whole:
            self._hold()
        if self.size < end:
            raise incomplete()
        return self.joined()[PREFIX:end], flag != 0

    async def reserve(self, limit: int, seconds: float | None) -> None:
        """Count the first message's length, before it is all here, until ``release``. Raises as ``first_message``."""
        await self._until(1)
        try:
            async with asyncio.timeout(seconds):
                await self._until(PREFIX)
        except TimeoutError:
            raise _too_slow(seconds) from None
        if self.size < PREFIX:
            raise incomplete()
        length = int.from_bytes(self.joined()[1:PREFIX], "big")
        if length > limit:
            raise _too_large(length, limit)
        self._body_memory.take(self._owner, length)
        self._reserved = length
        self._require_memory(length)

    def release(self) -> None:
        """Count no longer what ``reserve`` did."""
        self._body_memory.give_back(self._owner, self._reserved)
        self._reserved = 0

    async def _until(self, size: int) -> None:
        while self.size < size and not self.complete:
            if self._whole:  # the message may be longer than the window
                self._hold()
                self.acknowledge()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _hold(self) -> None:
        """Count what was received of a message that is read whole.

        Raises:
            ApiError: the messages and bodies that the server holds are too large together, or those of one owner.
        """
        self._body_memory.take(self._owner, self.size - self._held)
        self._held = self.size
        self._require_memory(self.size)

    def _require_memory(self, size: int) -> None:
        if (excess := self._body_memory.excess(self._owner, size)) is not None:
            raise of_body(excess)

    def acknowledge(self) -> None:
        """Let the client send as much again as it has sent."""
        if unacknowledged := self.size - self.acknowledged:
            self.acknowledged = self.size
            self._stream.sent(unacknowledged)

    def forwarded(self, chunk: bytes = b"") -> None:
        """Note that all that was kept, and ``chunk``, was forwarded; keep it for a retry while the limits allow."""
        if self.chunks is None:
            return
        if chunk:
            self.chunks.append(chunk)
            self.size += len(chunk)
        self.acknowledged = self.size
        if self.size <= self._whole:
            return
        memory = self._retry_memory
        memory.used += self.size - self._counted
        self._counted = self.size
        if self.size > RETRY_BYTES or memory.used > memory.limit:
            self.drop()

    def drop(self) -> None:
        """Discard what is kept: no retry will need it."""
        if self.chunks is not None:
            self.acknowledge()
            self.chunks = None
            self._retry_memory.used -= self._counted
            self._body_memory.give_back(self._owner, self._held)


def _decompressed(message: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding == b"identity":
        text = "a message is marked as compressed, but grpc-encoding names no compression; name gzip or deflate"
        raise RpcError(RpcStatus.UNIMPLEMENTED, text, ACCEPTED)
    stream = zlib.decompressobj(_EITHER)
    try:
        content = stream.decompress(message, limit + 1)
    except zlib.error as err:
        raise RpcError(RpcStatus.INVALID_ARGUMENT, f"the first message cannot be decompressed: {err}") from err
    if len(content) > limit:
        raise _too_large(len(content), limit)
    if stream.unused_data or not stream.eof:
        raise RpcError(RpcStatus.INVALID_ARGUMENT, "the first message is truncated, or has bytes after its end")
    return content


def incomplete() -> RpcError:
    """Return the error of a call that ends within a message, or without one."""
    return RpcError(RpcStatus.INVALID_ARGUMENT, "the call ended before its message was complete")


def _too_slow(seconds: float | None) -> RpcError:
    return RpcError(RpcStatus.DEADLINE_EXCEEDED, f"the message did not arrive within {seconds:g} s")


def _too_large(size: int, limit: int) -> RpcError:
    return RpcError(RpcStatus.RESOURCE_EXHAUSTED, f"the message has {size} bytes or more; at most {limit} are allowed")
