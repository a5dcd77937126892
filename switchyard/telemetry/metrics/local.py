"""Metrics of local mode."""

from collections.abc import Callable
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry

from switchyard.telemetry.metrics.families import Families

Exit = Literal["crash", "killed"]
EXITS: Final[tuple[Exit, ...]] = get_args(Exit)

START_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)


class LocalMetrics:
    """Metrics of local mode's activator and supervisor."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.starts = make.counter(
            "local_starts",
            "Starts of a process: by a `request`, `always-on`, after a `crash`, by a client's `load`, for new "
            "`content` of its folder.",
            "model",
            "reason",
        )
        self.start_seconds = make.histogram(
            "local_start_seconds", "Seconds of each phase of a start.", "model", "phase", buckets=START_BUCKETS
        )
        self.held = make.gauge("local_requests_held", "Requests that wait for a model to wake.", "model")
        self.oldest_held = make.gauge(
            "local_oldest_held_seconds",
            "How long the request has waited that has waited longest; 0 if none waits.",
            "model",
        )
        self.replicas = make.gauge("local_replicas", "Running processes.", "model")
        self.start_failures = make.counter(
            "local_start_failures", "Starts that ended before they were ready, or found no memory.", "model"
        )
        self.exits = make.counter(
            "local_replica_exits",
            "Processes that ended while they served: `crash`, or `killed` by signal 9, as the kernel does "
            "when memory is out.",
            "model",
            "reason",
        )

    def follow(self, model: str, oldest_held: Callable[[], float]) -> None:
        """Show what counts failures of a model from its first moment, at 0: alerts see the first one too."""
        self.oldest_held.labels(model).set_function(oldest_held)
        self.start_failures.labels(model)
        for reason in EXITS:
            self.exits.labels(model, reason)

    def forget(self, model: str) -> None:
        """Remove the series of a model that is served no more."""
        for family in vars(self).values():
            family.remove_by_labels({"model": model})
