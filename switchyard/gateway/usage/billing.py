"""Makes the ledger's entry of a call when it ends, and counts the call in metrics."""

import asyncio
import time
from collections.abc import Callable

from switchyard.catalog import Model
from switchyard.gateway.call import Call
from switchyard.gateway.routes.table import Route
from switchyard.gateway.tenants.directory import Identity
from switchyard.gateway.tenants.prices import Price
from switchyard.gateway.usage.entries import NANO, Outcome, Settled, entry
from switchyard.gateway.usage.prices import cost, price_of
from switchyard.http.usage import Usage
from switchyard.store.ledger import Entry
from switchyard.telemetry.metrics import GatewayMetrics

_INFERENCES = frozenset(("ModelInfer", "ModelStreamInfer"))
_TENANTS = 1000  # with a value of their own in metrics, the first that call; the ledger has them all
_OTHERS = "others"


def is_metered(route: Route) -> bool:
    """Return whether calls of a route are on the bill: inference is, questions about models are not."""
    if route.rpc:
        return route.rpc in _INFERENCES
    return route.by == "model" and route.method == "POST" and route.access == "use"


class Billing:
    """Whoever settles a call asks for its entry, once; ``prices`` returns those that are in force.

    ``is_own`` says whether a model that somebody calls runs for its tenant alone.
    """

    def __init__(
        self,
        prices: Callable[[], tuple[Price, ...]],
        metrics: GatewayMetrics,
        now: Callable[[], float] = time.time,
        is_own: Callable[[Identity, Model], bool] = lambda identity, model: False,
    ) -> None:
        self._prices = prices
        self._metrics = metrics
        self._now = now
        self._is_own = is_own
        self._tenants: set[str] = set()

    def cost(self, model: str, usage: Usage) -> int:
        """Return what ``usage`` of a model costs in nano-dollars."""
        prices = self._prices()
        return cost(usage, price_of(model, prices)) if prices else 0

    def entry(self, call: Call, call_id: str, outcome: Outcome) -> Entry:
        """Return what the ledger keeps of a call; one to which the model responded with an error is an error."""
        if call.status >= 400:
            outcome = "error"
        seconds = asyncio.get_running_loop().time() - call.started
        assert call.identity is not None
        assert call.model is not None
        own = self._is_own(call.identity, call.model)
        settled = Settled(outcome, self._now(), seconds)
        made, nano_dollars = entry(call, call_id, self._prices(), settled, own=own)
        if outcome != "error" and call.usage is not None:
            self._count(call, call.usage, nano_dollars)
        return made

    def _count(self, call: Call, usage: Usage, nano_dollars: int) -> None:
        assert call.identity is not None
        assert call.model is not None
        for kind, tokens in (
            ("input", usage.prompt_tokens - usage.cached_tokens),
            ("cached_input", usage.cached_tokens),
            ("output", usage.completion_tokens),
        ):
            if tokens:
                self._metrics.tokens.labels(call.model.name, kind).inc(tokens)
        if nano_dollars:
            tenant = call.identity.tenant
            if tenant not in self._tenants:
                tenant = tenant if len(self._tenants) < _TENANTS else _OTHERS
                self._tenants.add(tenant)
            self._metrics.cost.labels(tenant).inc(nano_dollars / NANO)
