"""Sources that are followed by their own libraries, each in a thread, as downloads."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from switchyard.repository.sources import (
    Follower,
    Location,
    Source,
    SourceError,
    SourceEvent,
    open_source,
    parse,
    remove_others,
)
from switchyard.repository.sources.fetching import Cache
from switchyard.repository.sources.uri import base_of
from switchyard.sync.downloads import INCOMING, Download, Listing, Report

# A chunk comes within one second or never, as a store may send a byte now and then. What came so far stays.
_GRACE_SECONDS = 3.0

logger = logging.getLogger(__name__)

_State = Literal["running", "done", "failed", "removed"]
_STATES: Mapping[str, _State] = {
    "fetching": "running",
    "fetched": "done",
    "moved": "done",
    "failed": "failed",
    "removed": "removed",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceDownloader:
    """Follows ``source``, which is listed every ``seconds``."""

    location: Location
    source: Source
    seconds: float
    cache: Cache | None = None

    async def run(self, incoming: Path, report: Report) -> None:
        """Keep the models of the source below ``incoming`` until cancelled."""
        loop = asyncio.get_running_loop()

        def on_event(event: SourceEvent) -> None:
            loop.call_soon_threadsafe(report, _reported(event))

        follower = Follower(self.location, self.source, incoming, on_event, cache=self.cache, seconds=self.seconds)
        # A thread of its own: it runs as long as the program, and the loop's pool has few.
        thread = ThreadPoolExecutor(1, thread_name_prefix="source")
        following = loop.run_in_executor(thread, follower.run)
        thread.shutdown(wait=False)
        try:
            await asyncio.shield(following)
        finally:
            follower.stop()
            _, running = await asyncio.wait((following,), timeout=_GRACE_SECONDS)
            if running:
                logger.warning("a store is not waited for any longer", extra={"source": self.source.uri})


def downloaders(
    addresses: Sequence[str],
    published: Path,
    *,
    claims: Mapping[str, Path],
    seconds: float,
    cache: Cache | None = None,
) -> list[SourceDownloader]:
    """Return what follows each of ``addresses``; what others brought below ``published`` is removed.

    Raises:
        SourceError: an address cannot be used, or is there twice.
    """
    locations = [parse(address) for address in addresses]
    bases = [base_of(location.uri) for location in locations]
    if twice := next((base for base in bases if bases.count(base) > 1), ""):
        raise SourceError(f"{twice} is named twice: name each source once")
    sources = [open_source(location, claims=claims) for location in locations]
    remove_others(published / INCOMING, sources)
    return [
        SourceDownloader(location=location, source=source, seconds=seconds, cache=cache)
        for location, source in zip(locations, sources, strict=True)
    ]


def _reported(event: SourceEvent) -> Download | Listing:
    if event.place is None:
        return Listing(source=event.uri, failed=event.kind == "failed")
    return Download(
        group=event.place.group,
        name=event.place.name,
        state=_STATES[event.kind],
        source=event.uri,
        revision=event.revision,
        progress=event.progress,
        reason=event.message,
    )
