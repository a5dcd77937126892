"""Writes a recording to the store as it grows, and keeps in memory only what the store has not taken yet."""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import SEGMENT_BYTES, Bounds, Recordings, SupersededError

logger = logging.getLogger(__name__)

RECORDING_BYTES = 4 * 1024 * 1024  # of one: longer than the longest chat, and embeddings of some hundred texts
UNSTORED_BYTES = 64 * 1024 * 1024  # of all recordings of a process: 4000 streams with a full segment each
FLUSH_BYTES = 16 * 1024  # some 80 events: one round trip for them
LEASE_SECONDS = 10.0  # after so long without a word of its gateway a recording is lost
_FLUSH_SECONDS = 2.0
_FOLLOWED_SECONDS = 0.1  # while a client reads it at another gateway
_RENEW_SECONDS = LEASE_SECONDS / 3
_AGAIN_SECONDS = 0.25  # until a store that did not respond is asked again


class UnstoredMemory:
    """What all recordings of this process hold in memory."""

    def __init__(self, most: int = UNSTORED_BYTES) -> None:
        self.most = most
        self.used = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where a recording is written, for how many seconds it is kept, and what its scope may hold."""

    scope: str
    id: str
    seconds: float
    bounds: Bounds


class SegmentWriter:
    """One recording on its way to the store; create it once the store has begun the recording.

    A place in it is a number of bytes from its beginning. ``on_superseded`` is called when another writer has it. What
    is too large, or a store that does not respond for as long as the lease, makes it ``given_up``: it is not kept, and
    whoever has read all of it until then can go on. ``followed`` says that a client reads it at another gateway.
    """

    def __init__(
        self, store: Recordings, kept: Kept, memory: UnstoredMemory, on_superseded: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._kept = kept
        self._memory = memory
        self._on_superseded = on_superseded
        self._loop = asyncio.get_running_loop()
        self._starts = [0]  # of each segment that the store has, and of the next one
        self._sending = b""  # the segment that the store is being given
        self._buffer = bytearray()
        self._responded = self._loop.time()  # when the store last did
        self._flushing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(_FLUSH_SECONDS, self._tick)
        self.end = 0
        self.followed = self.given_up = self.superseded = self.kept = False

    @property
    def outcome(self) -> str:
        """What became of it."""
        if self.superseded:
            return "superseded"
        return "given_up" if self.given_up else "kept" if self.kept else "failed"

    @property
    def stored(self) -> int:
        """The place up to which the store has it."""
        return self._starts[-1]

    def add(self, data: bytes) -> None:
        """Add entries to the end."""
        size = len(data)
        self.end += size
        if self.given_up:
            return
        self._buffer += data
        memory = self._memory
        memory.used += size
        if memory.used > memory.most or self.end > RECORDING_BYTES:
            logger.info("a response is too large to be kept", extra={"bytes": self.end})
            self.give_up()
        elif len(self._buffer) >= FLUSH_BYTES:
            self._flush_soon()

    def unstored(self, place: int) -> bytes:
        """Return what follows ``place``, which the store has reached or passed; nothing once it is given up."""
        return (self._sending + self._buffer)[place - self.stored :]

    async def read(self, place: int) -> bytes:
        """Return some of what the store has from ``place`` on; empty if it does not have it any more.

        Raises:
            StoreError: the store does not respond.
        """
        number = bisect_right(self._starts, place) - 1
        page = await self._store.follow(self._kept.scope, self._kept.id, after=number)
        if page is None or not page.segments:
            return b""
        return b"".join(page.segments)[place - self._starts[number] :]

    def give_up(self) -> None:
        """Keep no more of it, and forget what the store has when it ends."""
        self.given_up = True
        self._release()

    async def finish(self, *, complete: bool) -> None:
        """Write the rest, and end the recording: it is ``kept`` if it is complete and was not given up."""
        self._stop()
        if self._flushing is not None:
            await self._flushing
        self._stop()
        until = self._loop.time() + LEASE_SECONDS
        while not self.superseded:
            try:
                await self._write_rest(complete=complete and not self.given_up)
                self.kept = complete and not self.given_up
                break
            except SupersededError:
                self.superseded = True
            except StoreError as err:
                logger.warning("the store did not take a response: %s", err)
                if self._loop.time() > until:
                    break
                await asyncio.sleep(_AGAIN_SECONDS)
        self._release()

    async def _write_rest(self, *, complete: bool) -> None:
        kept = self._kept
        while len(self._sending) + len(self._buffer) > SEGMENT_BYTES or (self._sending and self._buffer):
            await self._append()
        last = self._sending or bytes(self._buffer)
        number = len(self._starts) - 1
        scope, recording, seconds = kept.scope, kept.id, kept.seconds
        await self._store.finish(scope, recording, number, last, complete=complete, ttl=seconds, bounds=kept.bounds)
        self._starts.append(self.stored + len(last))

    def _tick(self) -> None:
        self._timer = None
        if self._sending or self._buffer or self._loop.time() - self._responded >= _RENEW_SECONDS:
            self._flush_soon()
        else:
            self._wait()

    def _wait(self) -> None:
        self._stop()
        self._timer = self._loop.call_later(_FOLLOWED_SECONDS if self.followed else _FLUSH_SECONDS, self._tick)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush_soon(self) -> None:
        if self._flushing is None:
            self._flushing = self._loop.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            await self._append()
            while len(self._buffer) >= FLUSH_BYTES:
                await self._append()
        except SupersededError:
            self.superseded = True
            self.give_up()
            self._on_superseded()
        except StoreError as err:
            logger.warning("the store did not take a part of a response: %s", err)
            if self._loop.time() - self._responded > LEASE_SECONDS:
                self.give_up()
        finally:
            self._flushing = None
        if not self.superseded:
            self._wait()

    async def _append(self) -> None:
        """Give the store the next segment, or the one again that it did not take."""
        if not self._sending:
            self._sending = bytes(self._buffer[:SEGMENT_BYTES])
            del self._buffer[:SEGMENT_BYTES]
        sent, kept = self._sending, self._kept
        self.followed = await self._store.append(kept.scope, kept.id, len(self._starts) - 1, sent, lease=LEASE_SECONDS)
        self._responded = self._loop.time()
        if sent and not self.given_up:
            self._sending = b""
            self._memory.used -= len(sent)
            self._starts.append(self.stored + len(sent))

    def _release(self) -> None:
        """Free what is held in memory."""
        self._memory.used -= len(self._sending) + len(self._buffer)
        self._sending = b""
        self._buffer.clear()
