"""Counts requests with label children that are bound once, because looking them up costs more than counting."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, get_args

from prometheus_client.metrics import MetricWrapperBase

from switchyard.catalog import Kind
from switchyard.telemetry.metrics.families import Outcome
from switchyard.telemetry.metrics.gateway import CallMetrics, GatewayMetrics, TenantMetrics

UNKNOWN = "unknown"
Exemplar = dict[str, str] | None
OTHERS = "others"
# With series of their own, the first that call; the others share one label, and the ledger has them all.
TENANTS = 1000
MODELS = 2000
PAIRS = 5000  # of models and routes: a model is mostly called by one or two of a dozen
CODES = 24  # of one pair; models may send any status
_STREAMS: frozenset[Kind] = frozenset(("llm", "adapter", "graph"))
KEPT_SECONDS = 600.0  # after a model was last served: calls to it last, and what it did is scraped


class _Bound:
    __slots__ = ("_codes", "_labels", "_metrics", "_outcomes", "first_byte", "latency")

    def __init__(self, metrics: CallMetrics, model: str, route: str) -> None:
        self._metrics = metrics
        self._labels = (model, route)
        self._codes: dict[tuple[int | str, Outcome], Any] = {}
        self.latency = metrics.latency.labels(model, route)
        self.first_byte = metrics.first_byte.labels(model, route)
        self._outcomes = _outcomes(metrics, model)
        for family in (metrics.cancelled, metrics.retries, metrics.heartbeats, metrics.waiting):
            family.labels(model)  # from the model's first call, as below

    def count(self, code: int | str, outcome: Outcome) -> None:
        child = self._codes.get((code, outcome))
        if child is None:
            if len(self._codes) >= CODES:
                code = OTHERS
            child = self._metrics.requests.labels(*self._labels, str(code), outcome)
            self._codes[code, outcome] = child
        child.inc()
        self._outcomes[outcome].inc()

    def forget(self) -> None:
        for code, outcome in self._codes:
            self._metrics.requests.remove(*self._labels, code, outcome)
        self._metrics.latency.remove(*self._labels)
        self._metrics.first_byte.remove(*self._labels)


def _outcomes(metrics: CallMetrics, model: str) -> dict[Outcome, Any]:
    return {outcome: metrics.outcomes.labels(model, outcome) for outcome in get_args(Outcome)}


class _Tenant:
    __slots__ = ("_metrics", "_name", "_outcomes", "first_token")

    def __init__(self, metrics: TenantMetrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._outcomes = {outcome: metrics.requests.labels(name, outcome) for outcome in get_args(Outcome)}
        self.first_token = metrics.first_token.labels(name)

    def count(self, outcome: Outcome) -> None:
        self._outcomes[outcome].inc()

    def forget(self) -> None:
        for outcome in self._outcomes:
            self._metrics.requests.remove(self._name, outcome)
        self._metrics.first_token.remove(self._name)


class Meter:
    """Records what stages report; ``model`` is a catalog name or ``UNKNOWN``, ``tenant`` one of the file's.

    Its series are bounded, and those of models and tenants that are gone are removed: a gateway whose models come and
    go all day grows by none of them. ``on_forget_model`` and ``on_forget_tenant`` are told of each.
    """

    def __init__(self, metrics: GatewayMetrics, now: Callable[[], float] = time.monotonic) -> None:
        self.metrics = metrics
        self.on_forget_model: Callable[[str], None] = lambda name: None
        self.on_forget_tenant: Callable[[str], None] = lambda name: None
        self._now = now
        for operation in ("reserve", "renew", "settle", "count"):
            metrics.usage.store_errors.labels(operation)  # at 0: a rate sees the first event too
        for outcome in ("delivered", "failed"):
            metrics.usage.webhook_attempts.labels(outcome)
        self._bound: dict[tuple[str, str], _Bound] = {}
        self._tenants: dict[str, _Tenant] = {}
        self._models: dict[str, str] = {UNKNOWN: UNKNOWN}  # to their labels
        self._gone: dict[str, float] = {}  # models that are served no more, and when that was seen
        self._first_token: dict[str, Any] = {}
        self._per_token: dict[str, Any] = {}

    def model(self, name: str) -> str:
        """Return the label of a model: its name, or that of all beyond ``MODELS``."""
        label = self._models.get(name)
        if label is None:
            if len(self._models) > MODELS:
                return OTHERS
            label = self._models[name] = name
        return label

    def tenant(self, name: str) -> str:
        """Return the label of a tenant: its name, or that of all beyond ``TENANTS``."""
        return name if name in self._tenants or len(self._tenants) < TENANTS else OTHERS

    def keep_models(self, served: Mapping[str, Kind] | None) -> None:
        """Remove the series of models that were not ``served`` for ``KEPT_SECONDS``; call it before each scrape.

        Those of which something is promised are there from then on, at 0, unless models are more than have series of
        their own. None says that nobody knows now what is served.
        """
        if served is None:
            return
        if len(served) <= MODELS:
            for name in served.keys() - self._models.keys():
                self._begin(self.model(name), served[name])
        now, gone = self._now(), set()
        for name in self._models:
            if name == UNKNOWN or name in served:
                self._gone.pop(name, None)
            elif now - self._gone.setdefault(name, now) >= KEPT_SECONDS:
                gone.add(name)
        for pair in [pair for pair in self._bound if pair[0] in gone]:
            self._bound.pop(pair).forget()
        for name in gone:
            self._forget(name)

    def keep_tenants(self, names: Collection[str]) -> None:
        """Remove the series of all tenants but these, which begin at 0 unless they are too many."""
        for name in [one for one in self._tenants if one not in names and one != OTHERS]:
            self._tenants.pop(name).forget()
            self.on_forget_tenant(name)
        if len(names) <= TENANTS:
            for name in names:
                self._tenant(name)

    def _begin(self, model: str, kind: Kind) -> None:
        calls = self.metrics.calls
        _outcomes(calls, model)
        if kind in _STREAMS:
            self._first_token[model] = calls.first_token.labels(model)
            self._per_token[model] = calls.per_output_token.labels(model)

    def _forget(self, name: str) -> None:
        del self._models[name], self._gone[name]
        self._first_token.pop(name, None)
        self._per_token.pop(name, None)
        for outcome in get_args(Outcome):
            self.metrics.calls.outcomes.remove(name, outcome)
        for family in self._of_models():
            family.remove(name)
        self.on_forget_model(name)

    def _of_models(self) -> Iterator[MetricWrapperBase]:
        """Yield the families whose only label is the model."""
        for family in vars(self.metrics.calls).values():
            if family._labelnames == ("model",):
                yield family

    def _of(self, model: str, route: str) -> _Bound:
        bound = self._bound.get((model, route))
        if bound is None:
            model = self.model(model)
            if len(self._bound) >= PAIRS and model != UNKNOWN:
                model = OTHERS
            bound = self._bound.get((model, route)) or _Bound(self.metrics.calls, model, route)
            self._bound[model, route] = bound
        return bound

    def _tenant(self, name: str) -> _Tenant:
        tenant = self._tenants.get(name)
        if tenant is None:
            name = self.tenant(name)
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
            label = self.model(model)
            child = self._first_token[label] = self.metrics.calls.first_token.labels(label)
        child.observe(seconds, exemplar)
        if tenant is not None:
            self._tenant(tenant).first_token.observe(seconds)

    def per_output_token(self, model: str, seconds: float) -> None:
        child = self._per_token.get(model)
        if child is None:
            label = self.model(model)
            child = self._per_token[label] = self.metrics.calls.per_output_token.labels(label)
        child.observe(seconds)

    def cancelled(self, model: str) -> None:
        self.metrics.calls.cancelled.labels(self.model(model)).inc()

    def retried(self, model: str) -> None:
        self.metrics.calls.retries.labels(self.model(model)).inc()

    def waiting(self, model: str, change: int) -> None:
        self.metrics.calls.waiting.labels(self.model(model)).inc(change)

    def waited(self, model: str, seconds: float) -> None:
        self.metrics.calls.waiting_time.labels(self.model(model)).observe(seconds)

    def certificate(self, valid: bool, expires: float) -> None:
        self.metrics.access.tls_outdated.set(not valid)
        self.metrics.access.tls_expires.set(expires)

    def heartbeat(self, model: str) -> None:
        self.metrics.calls.heartbeats.labels(self.model(model)).inc()
