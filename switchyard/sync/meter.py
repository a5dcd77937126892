"""Counts what is found, judged and published."""

from collections import Counter
from typing import get_args

from switchyard.repository.status import Phase, RepositoryStatus
from switchyard.repository.verdict import Group, Verdict
from switchyard.telemetry.metrics import RepositoryMetrics


class Meter:
    """Brings the metrics in step with the statuses; a ``Reporter``."""

    def __init__(self, metrics: RepositoryMetrics) -> None:
        self._metrics = metrics
        self._series: set[tuple[str, str]] = set()

    def judged(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self._metrics.verdicts.labels(verdict.group, verdict.faults[0].code if verdict.faults else "ok").inc()

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
        for labels, took in seconds.items():
            self._metrics.load_time.labels(*labels).set(took)
        for labels in self._series - seconds.keys():
            self._metrics.load_time.remove(*labels)
        self._series = set(seconds)
