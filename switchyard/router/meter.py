"""Metrics of graphs, nodes and steps.

Label children are bound once, because looking one up costs more than counting. Observations are kept until the client
has its response and only then recorded: recording takes as long as choosing a step and would delay the response.
"""

from typing import Any

from switchyard.telemetry.metrics.graph import GraphMetrics


class _Codes:
    """A counter's children, by the value of the last label."""

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


# The latency metric and its seconds, and for steps the counter and its status.
_Pending = list[tuple[Any, float, _Codes | None, int]]


class StepMeter:
    """Metrics of one step."""

    __slots__ = ("_codes", "_latency", "_pending", "_retries")

    def __init__(self, metrics: GraphMetrics, pending: _Pending, node: str, step: str) -> None:
        self._pending = pending
        self._codes = _Codes(metrics.step_requests, node, step)
        self._latency = metrics.step_latency.labels(node, step)
        self._retries = metrics.retries.labels(node, step)

    def responded(self, status: int, seconds: float) -> None:
        """Record that the response headers arrived after ``seconds``."""
        self._pending.append((self._latency, seconds, self._codes, status))

    def failed(self) -> None:
        """Count a call without a response."""
        self._codes.count("error")

    def cancelled(self) -> None:
        """Count a cancelled call: the client disconnected, or another step decided the response."""
        self._codes.count("cancelled")

    def retried(self) -> None:
        """Count a retry."""
        self._retries.inc()


class NodeMeter:
    """Metrics of one node."""

    __slots__ = ("_latency", "_pending", "_unmatched")

    def __init__(self, metrics: GraphMetrics, pending: _Pending, node: str) -> None:
        self._pending = pending
        self._latency = metrics.node_latency.labels(node)
        self._unmatched = metrics.unmatched.labels(node)

    def responded(self, seconds: float) -> None:
        """Record that the response headers arrived after ``seconds``."""
        self._pending.append((self._latency, seconds, None, 0))

    def unmatched(self) -> None:
        """Count a request that matched no step."""
        self._unmatched.inc()


class GraphMeter:
    """Metrics of whole requests; creates the meters of nodes and steps."""

    def __init__(self, metrics: GraphMetrics) -> None:
        self._metrics = metrics
        # One list for all requests: whichever ends next records what has gathered, its own and that of others.
        self._pending: _Pending = []
        self._codes = _Codes(metrics.requests)
        self._latency = metrics.latency

    def node(self, node: str) -> NodeMeter:
        return NodeMeter(self._metrics, self._pending, node)

    def step(self, node: str, step: str) -> StepMeter:
        return StepMeter(self._metrics, self._pending, node, step)

    def responded(self, status: int, seconds: float) -> None:
        """Record that the last byte of a response was written to the client's connection after ``seconds``."""
        self._codes.count(status)
        self._latency.observe(seconds)
        self._flush()

    def cancelled(self) -> None:
        """Count a client that disconnected."""
        self._codes.count("cancelled")
        self._flush()

    def broken(self) -> None:
        """Count a response that ended early, after its headers were sent."""
        self._codes.count("broken")
        self._flush()

    def _flush(self) -> None:
        for latency, seconds, codes, status in self._pending:
            latency.observe(seconds)
            if codes is not None:
                codes.count(status)
        self._pending.clear()
