"""One batch while this gateway works on it: from its file to its output."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from switchyard.gateway.batches.batch import Batch, Fault, Owner
from switchyard.gateway.batches.group import Group, Places
from switchyard.gateway.batches.lines.line import Outcome
from switchyard.gateway.batches.lines.output import write_output
from switchyard.gateway.batches.lines.requests import Request, Requests, endpoint_route
from switchyard.gateway.batches.lines.results import OUTPUT_BYTES, PART_SECONDS, Result, ResultLog, row
from switchyard.gateway.batches.stored_batches import LEASE_SECONDS, LostBatchError, StoredBatches
from switchyard.gateway.files.contract import NoFileError
from switchyard.gateway.files.stored_files import StoredFiles
from switchyard.gateway.routes.match import Router
from switchyard.gateway.tenants.directory import Identity
from switchyard.store.contract import StoreError

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
Stop = Literal["", "cancelled", "expired", "failed"]
# Why lines were not run, by how their batch ended
_REASONS = {
    "cancelled": ("batch_cancelled", "This request was not run, as its batch was cancelled."),
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "failed": ("batch_failed", "This request was not run, as its batch failed."),
}


class NoOwnerError(Exception):
    """Whoever made the batch may use nothing any more; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What all runs of a gateway share.

    ``identify`` returns who a batch's owner is now; it raises ``NoOwnerError``. ``places`` are those of a model, for
    that one. ``ask`` runs a line as a call. ``now`` returns seconds since 1970.
    """

    runner: str
    batches: StoredBatches
    files: StoredFiles
    router: Router
    identify: Callable[[Owner], Identity | None]
    places: Callable[[str, Identity | None], Places]
    ask: Callable[[str, Request, Identity | None, int], Awaitable[Outcome]]
    now: Callable[[], float]


class Run:
    """Works on a batch that was claimed; ``drain`` lets it begin no more, so that another gateway goes on."""

    def __init__(self, work: Work, batch: Batch) -> None:
        self.batch = batch
        self._work = work
        self._log = ResultLog(work.files.blobs, batch.id, work.runner)
        self._stop: Stop = "cancelled" if batch.status == "cancelling" else ""
        self._faults: tuple[Fault, ...] = ()
        self._identity: Identity | None = None
        self._done = bytearray()
        self._failed = 0
        self._draining = self._ending = False
        self._holding = asyncio.Lock()
        self._group: Group | None = None

    def drain(self) -> None:
        """Begin no further line."""
        self._draining = True
        self._wake()

    async def run(self) -> None:
        """Work until the batch has ended, is another's, or this gateway drains; never raises but when cancelled."""
        working = asyncio.create_task(self._worked())
        beating = asyncio.create_task(self._beat())
        try:
            await asyncio.wait((working, beating), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, beating):
                task.cancel()
            results = await asyncio.gather(working, beating, return_exceptions=True)
        for result in results:
            if isinstance(result, LostBatchError):
                logger.warning("another gateway works on the batch now", extra={"batch": self.batch.id})
            elif isinstance(result, Exception):
                logger.error("the work on batch %s failed; it is tried again", self.batch.id, exc_info=result)

    async def _worked(self) -> None:
        try:
            await self._from_file()
        finally:
            # Also when this gateway ends: what was paid for is written down, and the batch is free for others at once.
            await asyncio.shield(self._let_go())

    async def _let_go(self) -> None:
        await self._log.write()
        # After an error it stays held until its lease is over, so that it is not tried again at once.
        if self.batch.is_active and self._draining:
            try:
                self.batch = await self._hold(lambda batch: replace(batch, runner=""))
            except (StoreError, LostBatchError):
                logger.warning("the batch stays held until its lease is over", extra={"batch": self.batch.id})

    async def _from_file(self) -> None:
        batch, work = self.batch, self._work
        await work.files.refresh()
        file, route = work.files.get(batch.owner.tenant, batch.input), endpoint_route(work.router, batch.endpoint)
        if file is None or route is None:
            await self._fail((Fault(code="invalid_input_file", message="the file of the batch was deleted"),))
            return
        try:
            async with work.files.blobs.local(file.blob) as path:
                requests = Requests(path, route, work.router)
                try:
                    await self._of_requests(requests)
                finally:
                    requests.close()
        except NoFileError:
            await self._fail((Fault(code="invalid_input_file", message="the file of the batch was deleted"),))

    async def _of_requests(self, requests: Requests) -> None:
        faults = await asyncio.to_thread(requests.check)
        if faults:
            await self._fail(tuple(faults))
            return
        self._done = bytearray(len(requests))
        async for result in self._log.read(self._grown):
            self._done[result.number] = 1
            self._failed += result.failed
        self.batch = await self._hold(lambda batch: self._begun(batch, len(requests)))
        self._look()
        if self.batch.status == "in_progress":
            async with self._writing():
                for model, numbers in requests.by_model(self._left()).items():
                    await self._run_group(requests, model, numbers)
        if self._draining and not self._stop and 0 in self._done:
            return
        for number in self._left():
            code, message = _REASONS[self._stop or "failed"]
            error = {"code": code, "message": message}
            self._add(Result(number, True, row(self.batch.id, requests.get(number), error=error)))
            if self._log.is_due:
                await self._log.write()
        await self._log.write()
        await self._end()

    def _begun(self, batch: Batch, total: int) -> Batch:
        counted = replace(batch, total=total, done=sum(self._done), failed=self._failed)
        return counted.into("in_progress", self._work.now()) if batch.status == "validating" else counted

    async def _run_group(self, requests: Requests, model: str, numbers: Sequence[int]) -> None:
        work = self._work

        async def ask(number: int, attempt: int) -> Outcome:
            return await work.ask(self.batch.id, requests.get(number), self._identity, attempt)

        self._group = Group(
            ask,
            work.places(model, self._identity),
            self._add,
            is_stopped=lambda: bool(self._stop) or self._draining,
            is_held=lambda: self._log.is_full,
        )
        try:
            await self._group.run(numbers)
        finally:
            self._group = None

    async def _end(self) -> None:
        work, stop = self._work, self._stop

        def finalizing(batch: Batch) -> Batch:
            changed = batch if batch.status == "finalizing" else batch.into("finalizing", work.now())
            if stop in ("expired", "failed"):  # which another gateway would not know, if this one ends now
                changed = replace(changed, times={**changed.times, stop: int(work.now())})
            return replace(changed, faults=(*changed.faults, *self._faults)[:1])

        self.batch = await self._hold(finalizing)
        output, errors, counts = await write_output(work.files, self.batch, self._log, work.now())
        times = self.batch.times
        status = next((one for one in ("failed", "expired") if one in times), "completed")
        last = "cancelled" if "cancelling" in times else status

        def ended(batch: Batch) -> Batch:
            changed = replace(batch, runner="", output=output, errors=errors, done=counts[0], failed=counts[1])
            return changed.into(last, work.now())  # type: ignore[arg-type]

        self._ending = True
        self.batch = await self._hold(ended)
        await self._log.remove()
        logger.info("a batch has ended", extra={"batch": self.batch.id, "status": last, "lines": counts[0]})

    async def _fail(self, faults: tuple[Fault, ...]) -> None:
        now, self._ending = self._work.now(), True
        self.batch = await self._hold(lambda batch: replace(batch, faults=faults, runner="").into("failed", now))

    def _left(self) -> list[int]:
        return [number for number, done in enumerate(self._done) if not done]

    def _add(self, result: Result) -> None:
        self._log.add(result)
        self._done[result.number] = 1
        self._failed += result.failed

    def _grown(self, size: int) -> None:
        self._log.size += size

    def _wake(self) -> None:
        if self._group is not None:
            self._group.wake()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Write results down as they come."""

        async def write() -> None:
            while True:
                await asyncio.sleep(PART_SECONDS / 4 if self._log.is_due else PART_SECONDS)
                await self._log.write()

        task = asyncio.create_task(write())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _beat(self) -> None:
        """Say that this gateway works on the batch, and learn what others wrote, until it is lost."""
        time = asyncio.get_running_loop().time
        held = time()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                self.batch = await self._hold(self._counted)
                held = time()
            except LostBatchError:
                if not self._ending:
                    raise
            except StoreError:
                if time() - held > LEASE_SECONDS:
                    raise LostBatchError(self.batch.id) from None
            self._look()
            self._wake()

    def _counted(self, batch: Batch) -> Batch:
        return replace(batch, done=sum(self._done), failed=self._failed) if batch.total else batch

    def _look(self) -> None:
        """Find out whether the batch has to stop."""
        if self._stop:
            return
        if self.batch.status == "cancelling":
            self._stop = "cancelled"
        elif self.batch.ends <= self._work.now():
            self._stop = "expired"
        elif self._log.size > OUTPUT_BYTES:
            self._fault("output_too_large", f"the responses have more than {OUTPUT_BYTES} bytes; make several batches")
        else:
            try:
                self._identity = self._work.identify(self.batch.owner)
            except NoOwnerError as err:
                self._fault("invalid_api_key", str(err))

    def _fault(self, code: str, message: str) -> None:
        self._stop = "failed"
        self._faults = (Fault(code=code, message=message),)

    async def _hold(self, change: Callable[[Batch], Batch]) -> Batch:
        async with self._holding:  # of two, the later one must not go back to what the earlier one read
            return await self._work.batches.hold(self.batch.id, self._work.runner, change)
