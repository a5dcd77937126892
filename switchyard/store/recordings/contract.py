"""The contract of recordings; ``tests/switchyard/store/recordings/test_contract.py`` runs against each implementation.

A recording is a response in segments, which only its writer reads and writes: the store keeps them in order. Recordings
of one ``scope`` (a tenant, or tenants that share) are stored together, and nobody finds those of another. A ``name``
leads to one recording at a time; its part before the first colon is its kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["running", "complete", "failed", "lost"]

SEGMENT_BYTES = 256 * 1024  # at most
SEALED_BYTES = 64  # by so much an encrypted segment may be longer
INLINE_BYTES = (
    128 * 1024
)  # of segments that come with what is found, or one that is longer: mostly all in one round trip
FOLLOWED_SECONDS = 5.0  # so long a writer is told of one who followed: many times the pause between two looks
AFTER_SECONDS = 10.0  # so long one that no name leads to any more is there for those who follow it


class SupersededError(Exception):
    """The recording is not this writer's any more: its lease was over, and another one has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is known of a recording.

    ``fingerprint`` says what was asked, in bytes that the writer chose. ``lost`` is one whose writer has let its lease
    pass. ``age`` is in seconds since it began, ``left`` until it is forgotten. ``segments`` are so many, of ``size``
    bytes together, as the store has them.
    """

    id: str
    fingerprint: bytes
    state: State
    age: float
    left: float
    segments: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A recording with some of its segments: those from number ``first`` on, in their order."""

    recording: Recording
    first: int
    segments: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How many recordings of one kind a scope has, and their bytes."""

    recordings: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a scope may hold of complete recordings of one kind; those that end first make room for new ones."""

    recordings: int = 10_000
    size: int = 64 * 1024 * 1024


class Recordings(Protocol):
    """Recordings by scope and name, the same for all processes that share the store.

    Each method is one atomic operation, in Redis one script. Time is the store's own. All raise ``StoreError`` when the
    store does not respond; the operation may then have happened or not, and to repeat it with the same arguments is
    safe.
    """

    async def claim(
        self,
        scope: str,
        name: str,
        recording: str,
        fingerprint: bytes,
        *,
        lease: float,
        ttl: float,
        aliases: Sequence[str] = (),
        report_lost: bool = False,
    ) -> Page | None:
        """Begin a recording under ``name``, or return the one that is there, from its first segment on.

        Returns None when this call has begun it: it is then ``running`` for ``lease`` seconds, and ``aliases`` lead to
        it as well, whatever they led to before. A failed one makes room for it. So does a lost one, with
        ``report_lost`` only for the claim after the one that returns it. All is forgotten ``ttl`` seconds from now.

        Raises:
            ValueError: another name led to a recording of this id: each has an id of its own.
        """

    async def find(self, scope: str, name: str, *, after: int = 0) -> Page | None:
        """Return the recording to which a name leads, with segments from number ``after`` on; None without one."""

    async def follow(self, scope: str, recording: str, *, after: int) -> Page | None:
        """As ``find``, by the recording's id; for some seconds its writer is told that somebody follows."""

    async def append(self, scope: str, recording: str, number: int, segment: bytes, *, lease: float) -> bool:
        """Add the segment with this number, empty for none, and hold the recording for ``lease`` seconds from now.

        The first is number 0. Returns whether somebody follows. A number that is there already is left as it is. A lost
        one is running again, unless another has begun.

        Raises:
            SupersededError: another writer has it, or it is over.
            ValueError: the segment is longer than ``SEGMENT_BYTES``, or not the next one.
        """

    async def finish(
        self, scope: str, recording: str, number: int, segment: bytes, *, complete: bool, ttl: float, bounds: Bounds
    ) -> None:
        """Add the last segment, empty for none, and end the recording.

        A complete one is kept for ``ttl`` seconds from now, if the scope has room for it within ``bounds``. One that
        failed, or has no room, is kept for some seconds for those who follow it, and no name leads to it.

        Raises:
            SupersededError: another writer has it, or it is over.
            ValueError: the segment is longer than ``SEGMENT_BYTES``, or not the next one.
        """

    async def forget(self, scope: str, name: str) -> bool:
        """Forget the recording to which a name leads, with all its names; return whether there was one."""

    async def clear(self, scope: str, kind: str) -> int:
        """Forget all complete recordings that were claimed under a name of this kind; return how many."""

    async def held(self, scope: str) -> Mapping[str, Held]:
        """Return what a scope holds of complete recordings, by the kinds of the names under which they were claimed."""

    async def aclose(self) -> None:
        """Wait for operations in progress and close files and connections; may be called again."""


def kind_of(name: str) -> str:
    """Return the kind of a name: what stands before its first colon."""
    return name.partition(":")[0]


def check_segment(segment: bytes) -> None:
    """Check what a writer promises of a segment.

    Raises:
        ValueError: it is too long.
    """
    if len(segment) > SEGMENT_BYTES + SEALED_BYTES:
        raise ValueError(f"a segment of {len(segment)} bytes is too long: at most {SEGMENT_BYTES}")
