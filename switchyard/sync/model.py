"""Follows one folder: waits until it is quiet, has it judged, publishes what is good, and says so."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from switchyard.repository.inspection import Surroundings
from switchyard.repository.judging import Job, Judge, Judged, JudgeError, ProcessLimits
from switchyard.repository.names import name_fault
from switchyard.repository.publishing.copying import ChangedError, StoppedError
from switchyard.repository.publishing.published import Generation, Published, SpaceError
from switchyard.repository.signature import SignaturePolicy
from switchyard.repository.sources.origin import Origin
from switchyard.repository.status import ModelStatus, Phase
from switchyard.repository.verdict import FaultCode, Verdict
from switchyard.sync.board import Board
from switchyard.sync.folders import Look, ModelKey, Roots, look
from switchyard.sync.meter import Meter
from switchyard.sync.records import Record, Records
from switchyard.sync.slots import NewestFirst

QUIET_SECONDS = 0.3  # without a change before a folder is judged: between two files of a copy there is less
COPYING_SECONDS = 3.0  # without a change before a fault is told that may only mean that the copy goes on
RETRY_SECONDS = 30.0  # after a full disk, or an error of this machine

# No file that is still to come mends these.
_DEFINITE = frozenset(
    (
        FaultCode.NAME,
        FaultCode.LINK,
        FaultCode.SPECIAL_FILE,
        FaultCode.CASE_COLLISION,
        FaultCode.PICKLE,
        FaultCode.TOO_LARGE,
    )
)

# A verdict with these may be another one when other models change.
_OF_OTHERS = frozenset((FaultCode.NAME, FaultCode.ENSEMBLE, FaultCode.MEMORY))

logger = logging.getLogger(__name__)


class Others(Protocol):
    """What a model must know of the others."""

    def surroundings(self, key: ModelKey) -> Surroundings:
        """Return what a verdict on ``key`` depends on."""

    @property
    def revision(self) -> int:
        """Return a number that grows whenever something else is published."""

    def on_published(self, key: ModelKey) -> None:
        """Take note that what is published of ``key`` changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What all models share; ``stopping`` ends copies that are going on."""

    roots: Roots
    published: Published
    records: Records
    judge: Judge
    board: Board
    meter: Meter
    slots: NewestFirst
    signatures: SignaturePolicy
    stopping: threading.Event = field(default_factory=threading.Event)


class Model:
    """One folder; ``generation`` is what is published of it, ``verdict`` the last one."""

    def __init__(self, key: ModelKey, parts: Parts, others: Others, generation: Generation | None) -> None:
        self.key = key
        self.generation = generation
        self.verdict: Verdict | None = None
        self._parts = parts
        self._others = others
        self._to_look = asyncio.Event()
        self._judged = ""  # the stamp of what was judged last
        self._is_stale = False  # what the last verdict depends on changed
        self._changed = self._began = time.monotonic()
        self._is_new = True  # to this process
        self._origin: Origin | None = None

    def look_again(self, *, judge: bool = False) -> None:
        """Look at the folder; with ``judge`` a new verdict is wanted even if it is unchanged."""
        self._is_stale |= judge
        self._to_look.set()

    async def run(self) -> None:
        """Follow the folder until it is gone."""
        while seen := await self._quiet():
            await self._read_origin()
            retry: float | None = None
            if seen[1].stamp != self._judged or self._is_stale:
                retry = await self._take(*seen)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(retry):
                    await self._to_look.wait()
        await asyncio.to_thread(self._parts.published.unpublish, *self.key)
        self._parts.records.remove(self.key)
        self._parts.board.remove(self.key)

    async def _read_origin(self) -> None:
        """Look up where the folder was downloaded from, which whoever downloaded it wrote into it."""
        with contextlib.suppress(OSError):
            folder = await asyncio.to_thread(self._parts.roots.folder, self.key)
            self._origin = await asyncio.to_thread(Origin.read, folder) if folder else None

    async def restore(self) -> None:
        """Take up what was known of the folder before this process started."""
        await self._read_origin()
        self._tell("checking")
        record = self._parts.records.read(self.key)
        if record is None or record.digest != (self.generation.digest if self.generation else ""):
            return
        self.verdict = record.verdict
        others = self._others.surroundings(self.key)
        if _OF_OTHERS.isdisjoint(fault.code for fault in record.verdict.faults) and not name_fault(
            self.key.name, others.names
        ):
            self._judged = record.stamp
            self._tell_verdict(record.verdict)

    async def _quiet(self) -> tuple[Path, Look] | None:
        """Return the folder when nothing in it has changed for a while; None if it is gone."""
        last: str | None = None
        while True:
            self._to_look.clear()
            try:
                folder = await asyncio.to_thread(self._parts.roots.folder, self.key)
            except OSError as err:  # a volume that is not there is no reason to stop serving its models
                logger.warning("the repository cannot be read: %s", err)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            seen = await asyncio.to_thread(look, folder, self.key.group) if folder else None
            stamp = seen.stamp if seen else ""
            if stamp in (last, self._judged) and (seen or last is not None):
                return (folder, seen) if folder and seen else None
            now = time.monotonic()
            if last is None:
                self._began = now
            if seen and folder and self._is_new and seen.age > COPYING_SECONDS:
                self._is_new, self._changed = False, now - COPYING_SECONDS
                return folder, seen
            last, self._changed = stamp, now
            self._is_new = False
            self._tell("copying")
            await asyncio.sleep(QUIET_SECONDS)

    async def _take(self, folder: Path, seen: Look) -> float | None:
        """Judge and publish one content; return after how many seconds to try again, None for not before a change."""
        self._is_stale = False
        quiet = time.monotonic() - self._began
        try:
            async with self._parts.slots.slot(self._changed):
                self._tell("checking")
                revision = self._others.revision
                judged = await self._judge(folder, seen)
            self.verdict = judged.verdict
            if _depends(judged.verdict) and revision != self._others.revision:
                return 0.0
            if not await self._is_final(judged.verdict, seen):
                return 0.0
            started = time.monotonic()
            async with self._parts.slots.slot(self._changed):
                changed = await self._publish(folder, judged)
        except (ChangedError, StoppedError):
            return 0.0
        except (JudgeError, SpaceError, OSError) as err:
            logger.error("%s cannot be published: %s", self.key, err)
            self._tell("failed", reason=str(err))
            return RETRY_SECONDS
        seconds = {**judged.verdict.seconds, "quiet": quiet, "publish": time.monotonic() - started}
        self.verdict = replace(judged.verdict, seconds={phase: round(took, 3) for phase, took in seconds.items()})
        self._judged = seen.stamp
        self._parts.meter.judged(self.verdict)
        digest = self.generation.digest if self.generation else ""
        record = Record(stamp=seen.stamp, verdict=self.verdict, digest=digest)
        await asyncio.to_thread(self._parts.records.write, self.key, record)
        self._tell_verdict(self.verdict)
        if changed:
            self._others.on_published(self.key)
        return None

    async def _judge(self, folder: Path, seen: Look) -> Judged:
        job = Job(
            group=self.key.group,
            name=self.key.name,
            folder=folder,
            surroundings=self._others.surroundings(self.key),
            limits=ProcessLimits.of(seen.listing.bytes, self.key.group),
            signatures=self._parts.signatures,
        )
        return await self._parts.judge.judge(job)

    async def _is_final(self, verdict: Verdict, seen: Look) -> bool:
        """Return whether the verdict is one on the whole folder; wait while a fault may be that a copy goes on."""
        if not verdict.faults or not _DEFINITE.isdisjoint(fault.code for fault in verdict.faults):
            return True
        while (left := self._changed + COPYING_SECONDS - time.monotonic()) > 0:
            self._tell("copying", reason=verdict.sentence)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._to_look.wait()
            self._to_look.clear()
            if self._is_stale or await self._stamp() != seen.stamp:
                self._to_look.set()
                return False
        return True

    async def _stamp(self) -> str:
        folder = await asyncio.to_thread(self._parts.roots.folder, self.key)
        return (await asyncio.to_thread(look, folder, self.key.group)).stamp if folder else ""

    async def _publish(self, folder: Path, judged: Judged) -> bool:
        """Publish what is good; return whether that is another content than before."""
        facts, manifest = judged.verdict.facts, judged.manifest
        if facts is None or manifest is None:
            return False
        before = self.generation
        self.generation = await asyncio.to_thread(
            self._parts.published.publish,
            folder,
            manifest,
            facts,
            group=self.key.group,
            name=self.key.name,
            stopped=self._parts.stopping.is_set,
        )
        return before is None or (before.digest, before.facts) != (self.generation.digest, facts)

    def _tell_verdict(self, verdict: Verdict) -> None:
        fault = verdict.faults[0] if verdict.faults else None
        self._tell(
            "published" if verdict.facts else "failed",
            reason=verdict.sentence,
            code=fault.code if fault else None,
            file=fault.file if fault else "",
            seconds=verdict.seconds,
        )

    def _tell(
        self,
        phase: Phase,
        *,
        reason: str = "",
        code: FaultCode | None = None,
        file: str = "",
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        self._parts.board.set(
            ModelStatus(
                group=self.key.group,
                name=self.key.name,
                phase=phase,
                reason=reason,
                code=code,
                file=file,
                digest=self.generation.digest if self.generation else "",
                facts=self.generation.facts if self.generation else None,
                source=self._origin.uri if self._origin else "",
                revision=self._origin.revision if self._origin else "",
                seconds=seconds,
            )
        )


def _depends(verdict: Verdict) -> bool:
    """Return whether the verdict may be another one when other models change."""
    of_others = not _OF_OTHERS.isdisjoint(fault.code for fault in verdict.faults)
    return of_others or bool(verdict.facts and verdict.facts.steps)
