"""Counts requests with label children that are bound once, because looking them up costs more than counting."""

from typing import Any

from switchyard.telemetry.metrics import CallMetrics, GatewayMetrics, Outcome, TenantMetrics

UNKNOWN = "unknown"
Exemplar = dict[str, str] | None
OTHERS = "others"
TENANTS = 1000  # with series of their own, the first that call; the ledger has them all


class _Bound:
    __slots__ = ("_codes", "_labels", "_metrics", "first_byte", "latency")

    def __init__(self, metrics: CallMetrics, model: str, route: str) -> None:
        self._metrics = metrics
        self._labels = (model, route)
        self._codes: dict[tuple[int | str, Outcome], Any] = {}
        self.latency = metrics.latency.labels(model, route)
        self.first_byte = metrics.first_byte.labels(model, route)

    def count(self, code: int | str, outcome: Outcome) -> None:
        child = self._codes.get((code, outcome))
        if child is None:
            child = self._codes[code, outcome] = self._metrics.requests.labels(*self._labels, str(code), outcome)
        child.inc()


class _Tenant:
    __slots__ = ("_metrics", "_name", "_outcomes", "first_byte")

    def __init__(self, metrics: TenantMetrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._outcomes: dict[Outcome, Any] = {}
        self.first_byte = metrics.first_byte.labels(name)

    def count(self, outcome: Outcome) -> None:
        child = self._outcomes.get(outcome)
        if child is None:
            child = self._outcomes[outcome] = self._metrics.requests.labels(self._name, outcome)
        child.inc()


class Meter:
    """Records what stages report; ``model`` is a catalog name or ``UNKNOWN``, ``tenant`` one of the file's."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self.metrics = metrics
        # Never emptied, and bounded all the same: stages pass names that the catalog had and labels of the table's
        # routes.
        self._bound: dict[tuple[str, str], _Bound] = {}
        self._tenants: dict[str, _Tenant] = {}
        self._first_token: dict[str, Any] = {}
        self._per_token: dict[str, Any] = {}

    def _of(self, model: str, route: str) -> _Bound:
        bound = self._bound.get((model, route))
        if bound is None:
            bound = self._bound[model, route] = _Bound(self.metrics.calls, model, route)
        return bound

    def _tenant(self, name: str) -> _Tenant:
        tenant = self._tenants.get(name)
        if tenant is None:
            if len(self._tenants) >= TENANTS:
                name = OTHERS
            tenant = self._tenants.get(name) or _Tenant(self.metrics.tenants, name)
            self._tenants[name] = tenant
        return tenant

    def done(
        self, model: str, route: str, code: int | str, outcome: Outcome, seconds: float, exemplar: Exemplar = None
    ) -> None:
        bound = self._of(model, route)
        bound.count(code, outcome)
        bound.latency.observe(seconds, exemplar)

    def tenant_done(self, tenant: str, outcome: Outcome) -> None:
        self._tenant(tenant).count(outcome)

    def first_byte(self, model: str, route: str, seconds: float, exemplar: Exemplar = None) -> None:
        """Record when a model began to respond; of a stream, when the first of its body came."""
        self._of(model, route).first_byte.observe(seconds, exemplar)

    def first_token(self, model: str, tenant: str | None, seconds: float, exemplar: Exemplar = None) -> None:
        """Record when the first of a stream's body came, by model and by tenant."""
        child = self._first_token.get(model)
        if child is None:
            child = self._first_token[model] = self.metrics.calls.first_token.labels(model)
        child.observe(seconds, exemplar)
        if tenant is not None:
            self._tenant(tenant).first_byte.observe(seconds)

    def per_output_token(self, model: str, seconds: float) -> None:
        child = self._per_token.get(model)
        if child is None:
            child = self._per_token[model] = self.metrics.calls.per_output_token.labels(model)
        child.observe(seconds)

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
