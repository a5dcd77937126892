"""Counts what is found, judged and published."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import get_args

from switchyard.repository.status import Phase, RepositoryStatus
from switchyard.repository.verdict import Group, Verdict
from switchyard.sync.downloads import Download, Listing
from switchyard.sync.folders import ModelKey
from switchyard.telemetry.metrics.repository import RepositoryMetrics


@dataclass(slots=True)
class _Progress:
    revision: str
    began: float
    bytes: int = 0  # the most that was there: a fetch that goes on where it was begins at zero again


class Meter:
    """Brings the metrics in step with the statuses; a ``Reporter``."""

    def __init__(self, metrics: RepositoryMetrics) -> None:
        self._metrics = metrics
        self._series: set[tuple[str, str]] = set()
        self._running: dict[ModelKey, _Progress] = {}
        self._download_seconds: dict[ModelKey, float] = {}
        self._failing: dict[ModelKey | str, str] = {}  # schemes of models, and of sources by their address

    def judged(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self._metrics.verdicts.labels(verdict.group, verdict.faults[0].code if verdict.faults else "ok").inc()

    def listing(self, listing: Listing) -> None:
        """Count a source that cannot be listed among what fails, until it can."""
        self._set_failing(listing.source, listing.source.partition(":")[0], listing.failed)

    def _set_failing(self, key: ModelKey | str, scheme: str, failed: bool) -> None:
        if failed:
            self._failing[key] = scheme
        else:
            self._failing.pop(key, None)
        self._metrics.downloads_failing.labels(scheme).set(list(self._failing.values()).count(scheme))

    def download(self, download: Download) -> None:
        """Count what came of a model since the last call, and, once it is there, how long that took."""
        key, scheme = ModelKey(download.group, download.name), download.source.partition(":")[0]
        if download.state != "running":  # a download that is tried again fails until it is done
            self._set_failing(key, scheme, download.state == "failed")
        if download.state == "removed":
            self._running.pop(key, None)
            self._download_seconds.pop(key, None)
        elif download.state == "failed":
            self._metrics.download_failures.labels(scheme).inc()
        else:
            self._count(key, download, scheme)

    def _count(self, key: ModelKey, download: Download, scheme: str) -> None:
        running = self._running.get(key)
        if download.state == "running" and (running is None or running.revision != download.revision):
            running = self._running[key] = _Progress(download.revision, time.monotonic())
        if running is None:
            return  # it was there before this process
        came = max(0, download.progress[0] - running.bytes)
        running.bytes += came
        self._metrics.downloaded.labels(scheme).inc(came)
        if download.state == "done":
            self._download_seconds[key] = round(time.monotonic() - running.began, 3)
            del self._running[key]

    async def report(self, status: RepositoryStatus) -> None:
        phases = Counter((model.group, model.phase) for model in status.models)
        published = Counter(model.group for model in status.models if model.digest)
        for group in get_args(Group):
            self._metrics.published.labels(group).set(published[group])
            for phase in get_args(Phase):
                self._metrics.models.labels(group, phase).set(phases[group, phase])
        seconds = {
            (model.name, phase): took
            for model in status.models
            if model.digest and model.seconds
            for phase, took in model.seconds.items()
        }
        seconds |= {(key.name, "download"): took for key, took in self._download_seconds.items()}
        for labels, took in seconds.items():
            self._metrics.load_time.labels(*labels).set(took)
        for labels in self._series - seconds.keys():
            self._metrics.load_time.remove(*labels)
        self._series = set(seconds)
