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
from switchyard.repository.publishing import ChangedError, Generation, Published, SpaceError, Staged, StoppedError
from switchyard.repository.signature import SignaturePolicy
from switchyard.repository.sources.origin import Origin
from switchyard.repository.status import ModelStatus, Phase, said_while_copied
from switchyard.repository.verdict import FaultCode, Verdict
from switchyard.sync.board import Board
from switchyard.sync.folders import Look, ModelKey, Roots, look
from switchyard.sync.meter import Meter
from switchyard.sync.records import Record, Records
from switchyard.sync.slots import FairSlots

QUIET_SECONDS = 0.3  # without a change before a folder is judged: between two files of a copy there is less
COPYING_SECONDS = 3.0  # without a change before a fault is told that may only mean that the copy goes on
COPY_FIRST_BYTES = 64 << 20  # a larger folder is copied once a look at it found no fault
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
    slots: FairSlots
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
                self._is_stale |= retry is not None  # the verdict is still to be made
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
            found = await self._process(folder, seen)
        except (ChangedError, StoppedError):
            return 0.0
        except (JudgeError, SpaceError, OSError) as err:
            logger.error("%s cannot be published: %s", self.key, err)
            self._tell("failed", reason=str(err))
            return RETRY_SECONDS
        if found is None:
            return 0.0
        self.verdict, changed = replace(found[0], seconds={**found[0].seconds, "quiet": round(quiet, 3)}), found[1]
        self._judged = seen.stamp
        self._parts.meter.judged(self.verdict)
        digest = self.generation.digest if self.generation else ""
        record = Record(stamp=seen.stamp, verdict=self.verdict, digest=digest)
        await asyncio.to_thread(self._parts.records.write, self.key, record)
        self._tell_verdict(self.verdict)
        if changed:
            self._others.on_published(self.key)
        return None

    async def _process(self, folder: Path, seen: Look) -> tuple[Verdict, bool] | None:
        """Return the verdict on a content, and whether something else is published now; None to look again."""
        async with contextlib.AsyncExitStack() as ends:
            async with self._parts.slots.slot(self.key, self._changed, seen.listing.bytes):
                self._tell("checking")
                revision = self._others.revision
                staged, judged = await self._judge(folder, seen, ends)
            self.verdict = judged.verdict
            if _depends(judged.verdict) and revision != self._others.revision:
                return None
            if not await self._is_final(judged.verdict, seen):
                return None
            started = time.monotonic()
            changed = staged is not None and await self._publish(staged, judged)
            publish = round(time.monotonic() - started, 3)
        return replace(judged.verdict, seconds={**judged.verdict.seconds, "publish": publish}), changed

    async def _judge(self, folder: Path, seen: Look, ends: contextlib.AsyncExitStack) -> tuple[Staged | None, Judged]:
        """Judge a copy, since a folder can change unseen; make none of a folder that has a fault anyway."""
        around, listing = self._others.surroundings(self.key), seen.listing
        fault = name_fault(self.key.name, around.names)
        if faults := (fault,) if fault else listing.faults:
            return None, Judged(verdict=Verdict(group=self.key.group, name=self.key.name, digest="", faults=faults))
        job = Job(
            group=self.key.group,
            name=self.key.name,
            folder=folder,
            surroundings=around,
            limits=ProcessLimits.of(listing.bytes, self.key.group),
            signatures=self._parts.signatures,
        )
        if listing.bytes > COPY_FIRST_BYTES:
            judged = await self._parts.judge.judge(replace(job, inspect_only=True))
            if judged.verdict.facts is None:
                return None, judged
        published, stopped = self._parts.published, self._parts.stopping.is_set
        started = time.monotonic()
        staged = await asyncio.to_thread(published.stage, folder, listing, name=self.key.name, stopped=stopped)
        ends.push_async_callback(asyncio.to_thread, published.discard, staged)
        copied = round(time.monotonic() - started, 3)
        judged = await self._parts.judge.judge(replace(job, folder=staged.folder))
        verdict = replace(judged.verdict, seconds={"copy": copied, **judged.verdict.seconds})
        return staged, replace(judged, verdict=verdict)

    async def _is_final(self, verdict: Verdict, seen: Look) -> bool:
        """Return whether the verdict is one on the whole folder; wait while a fault may be that a copy goes on."""
        if not verdict.faults or not _DEFINITE.isdisjoint(fault.code for fault in verdict.faults):
            return True
        while (left := self._changed + COPYING_SECONDS - time.monotonic()) > 0:
            self._tell("copying", reason=said_while_copied(verdict.sentence))
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

    async def _publish(self, staged: Staged, judged: Judged) -> bool:
        """Publish what is good; return whether that is another content than before."""
        facts, manifest = judged.verdict.facts, judged.manifest
        if facts is None or manifest is None:
            return False
        before = self.generation
        self.generation = await asyncio.to_thread(
            self._parts.published.publish, staged, manifest, facts, group=self.key.group, name=self.key.name
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
