"""Counts requests with label children that are bound once, because looking them up costs more than counting."""

from switchyard.telemetry.metrics import CallMetrics, GatewayMetrics

UNKNOWN = "unknown"


class _Bound:
    __slots__ = ("_codes", "_labels", "_metrics", "first_byte", "latency")

    def __init__(self, metrics: CallMetrics, model: str, route: str) -> None:
        self._metrics = metrics
        self._labels = (model, route)
        self._codes: dict[int | str, object] = {}
        self.latency = metrics.latency.labels(model, route)
        self.first_byte = metrics.first_byte.labels(model, route)

    def count(self, code: int | str) -> None:
        child = self._codes.get(code)
        if child is None:
            child = self._codes[code] = self._metrics.requests.labels(*self._labels, str(code))
        child.inc()  # type: ignore[attr-defined]


class Meter:
    """Records what stages report; ``model`` is a catalog name or ``UNKNOWN``."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self.metrics = metrics
        # Never emptied, and bounded all the same: stages pass names that the catalog had and labels of the table's
        # routes.
        self._bound: dict[tuple[str, str], _Bound] = {}

    def _of(self, model: str, route: str) -> _Bound:
        bound = self._bound.get((model, route))
        if bound is None:
            bound = self._bound[model, route] = _Bound(self.metrics.calls, model, route)
        return bound

    def done(self, model: str, route: str, code: int | str, seconds: float) -> None:
        bound = self._of(model, route)
        bound.count(code)
        bound.latency.observe(seconds)

    def first_byte(self, model: str, route: str, seconds: float) -> None:
        self._of(model, route).first_byte.observe(seconds)

    def cancelled(self, model: str) -> None:
        self.metrics.calls.cancelled.labels(model).inc()

    def retried(self, model: str) -> None:
        self.metrics.calls.retries.labels(model).inc()

    def waiting(self, model: str, change: int) -> None:
        self.metrics.calls.waiting.labels(model).inc(change)

    def waited(self, model: str, seconds: float) -> None:
        self.metrics.calls.waiting_time.labels(model).observe(seconds)

    def certificate(self, valid: bool, expires: float) -> None:
        self.metrics.access.tls_outdated.set(not valid)
        self.metrics.access.tls_expires.set(expires)

    def heartbeat(self, model: str) -> None:
        self.metrics.calls.heartbeats.labels(model).inc()
