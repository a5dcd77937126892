"""Counts nodes and steps with label children that are bound once, because looking them up costs more than counting.

What is seen on the way to an answer is noted, and counted when the client has the answer: counting takes as long as
choosing a step.
"""

from typing import Any

from switchyard.telemetry.metrics import GraphMetrics


class _Codes:
    """A counter's children by their last label."""

    __slots__ = ("_children", "_counter", "_labels")

    def __init__(self, counter: Any, *labels: str) -> None:
        self._counter = counter
        self._labels = labels
        self._children: dict[int | str, Any] = {}

    def count(self, code: int | str) -> None:
        child = self._children.get(code)
        if child is None:
            child = self._children[code] = self._counter.labels(*self._labels, str(code))
        child.inc()


# Latency, seconds, and for steps the counter and its status.
_Pending = list[tuple[Any, float, _Codes | None, int]]


class StepMeter:
    """What the runs of one step report to."""

    __slots__ = ("_codes", "_latency", "_pending", "_retries")

    def __init__(self, metrics: GraphMetrics, pending: _Pending, node: str, step: str) -> None:
        self._pending = pending
        self._codes = _Codes(metrics.step_requests, node, step)
        self._latency = metrics.step_latency.labels(node, step)
        self._retries = metrics.retries.labels(node, step)

    def responded(self, status: int, seconds: float) -> None:
        """The head of its answer came after ``seconds``."""
        self._pending.append((self._latency, seconds, self._codes, status))

    def failed(self) -> None:
        """It gave no answer."""
        self._codes.count("error")

    def cancelled(self) -> None:
        """Its client hung up, or another step made it needless."""
        self._codes.count("cancelled")

    def retried(self) -> None:
        """It is asked again."""
        self._retries.inc()


class NodeMeter:
    """What the runs of one node report to."""

    __slots__ = ("_latency", "_pending", "_unmatched")

    def __init__(self, metrics: GraphMetrics, pending: _Pending, node: str) -> None:
        self._pending = pending
        self._latency = metrics.node_latency.labels(node)
        self._unmatched = metrics.unmatched.labels(node)

    def responded(self, seconds: float) -> None:
        """The head of its answer came after ``seconds``."""
        self._pending.append((self._latency, seconds, None, 0))

    def unmatched(self) -> None:
        """None of its steps is for a request."""
        self._unmatched.inc()


class GraphMeter:
    """What whole requests report to, and where nodes and steps get their meters."""

    def __init__(self, metrics: GraphMetrics) -> None:
        self._metrics = metrics
        self._pending: _Pending = []
        self._codes = _Codes(metrics.requests)
        self._latency = metrics.latency

    def node(self, node: str) -> NodeMeter:
        return NodeMeter(self._metrics, self._pending, node)

    def step(self, node: str, step: str) -> StepMeter:
        return StepMeter(self._metrics, self._pending, node, step)

    def responded(self, status: int, seconds: float) -> None:
        """The last byte of an answer was handed to the client's connection after ``seconds``."""
        self._codes.count(status)
        self._latency.observe(seconds)
        self._flush()

    def cancelled(self) -> None:
        """A client hung up."""
        self._codes.count("cancelled")
        self._flush()

    def broken(self) -> None:
        """An answer broke off after its head had been sent."""
        self._codes.count("broken")
        self._flush()

    def _flush(self) -> None:
        for latency, seconds, codes, status in self._pending:
            latency.observe(seconds)
            if codes is not None:
                codes.count(status)
        self._pending.clear()
