"""Puts the parts together and runs them until a signal."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from switchyard.http.server import Server
from switchyard.http.web_access import loopback_access
from switchyard.repository.inspection import Device
from switchyard.repository.judging import Judge
from switchyard.repository.publishing import Published
from switchyard.repository.signature import UNCHECKED, SignaturePolicy
from switchyard.sync.board import Board, FileReporter, Reporter
from switchyard.sync.control import Control
from switchyard.sync.downloads import INCOMING, Download, Downloader, Listing, Report
from switchyard.sync.folders import Roots
from switchyard.sync.meter import Meter
from switchyard.sync.model import Parts
from switchyard.sync.records import Records
from switchyard.sync.reserved import ReservedNames
from switchyard.sync.slots import FairSlots
from switchyard.sync.syncer import Syncer
from switchyard.telemetry.metrics.repository import RepositoryMetrics
from switchyard.telemetry.process import registry_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The command line; ``slots`` is how many folders are judged and copied at a time."""

    source: Path | None
    published: Path
    reserved: Path | None = None
    host: str = "127.0.0.1"
    http_port: int | None = None
    device: Device
    signatures: SignaturePolicy = UNCHECKED
    slots: int = 2


async def run(
    settings: Settings, *, downloaders: Sequence[Downloader] = (), reporters: Sequence[Reporter] = ()
) -> None:
    """Follow the repository, and what ``downloaders`` bring, until SIGTERM or SIGINT.

    Raises:
        PublishedError: another process publishes there.
        OSError: the tree cannot be written, or the port not be bound.
        JudgeError: the judging process does not start.
    """
    published = Published(settings.published)
    generations = await asyncio.to_thread(published.recover, settings.signatures)
    registry = registry_of("sync")
    meter = Meter(RepositoryMetrics(registry))
    incoming = settings.published / INCOMING
    roots = () if settings.source is None else (settings.source,)
    if downloaders:
        incoming.mkdir(exist_ok=True)
        roots = (*roots, incoming)
    board = Board((FileReporter(settings.published), meter, *reporters))
    judge = Judge(settings.slots)
    parts = Parts(
        roots=Roots(roots),
        published=published,
        records=Records(settings.published, f"{settings.device!r} {settings.signatures.fingerprint()}"),
        judge=judge,
        board=board,
        meter=meter,
        slots=FairSlots(settings.slots),
        signatures=settings.signatures,
    )
    syncer = Syncer(parts, reserved=ReservedNames(settings.reserved), device=settings.device)
    control = await _listen(settings, Control(board, registry))

    async def follow() -> None:
        # The last run's status.json stands until all models are known again: one that is not in it, engines let go of.
        await syncer.prepare(generations)
        downloads = [downloader.run(incoming, _told(meter, board)) for downloader in downloaders]
        await _together(board.run(), judge.start(), syncer.run(), *downloads)

    following = asyncio.create_task(follow())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, following.cancel)
    logger.info("following", extra={"source": str(settings.source), "published": len(generations)})
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await following
    finally:
        await _stop(parts, control)


def _told(meter: Meter, board: Board) -> Report:
    def tell(event: Download | Listing) -> None:
        if isinstance(event, Listing):
            meter.listing(event)
        else:
            meter.download(event)
            board.set_download(event)

    return tell


async def _stop(parts: Parts, control: Server | None) -> None:
    parts.stopping.set()  # copies in threads end within a step
    await parts.judge.aclose()
    if control:
        await control.aclose()
    logger.info("stopped")


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for part in parts:
            tasks.create_task(part)


async def _listen(settings: Settings, control: Control) -> Server | None:
    if settings.http_port is None:
        return None
    server = Server(control.handle, access=loopback_access(settings.host))
    await server.listen(settings.host, settings.http_port)
    return server
