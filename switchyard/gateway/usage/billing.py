"""Makes the ledger's entry of a call when it ends, and counts the call in metrics."""

import asyncio
import time
from collections.abc import Callable

from prometheus_client import Counter

from switchyard.catalog import Model
from switchyard.gateway.call import Call
from switchyard.gateway.routes.table import Route
from switchyard.gateway.tenants.directory import Identity
from switchyard.gateway.tenants.prices import Price
from switchyard.gateway.usage.entries import NANO, Outcome, Settled, entry
from switchyard.gateway.usage.prices import cost, price_of
from switchyard.http.usage import Usage
from switchyard.store.ledger import Entry
from switchyard.telemetry.metrics import UsageMetrics

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
        metrics: UsageMetrics,
        now: Callable[[], float] = time.time,
        is_own: Callable[[Identity, Model], bool] = lambda identity, model: False,
    ) -> None:
        self._prices = prices
        self._metrics = metrics
        self._now = now
        self._is_own = is_own
        self._known_prices: tuple[Price, ...] = ()
        self._price_of: dict[str, Price] = {}
        self._tokens: dict[tuple[str, str], Counter] = {}  # of models and kinds, as many as the metric has
        self._costs: dict[str, Counter] = {}

    def cost(self, model: str, usage: Usage) -> int:
        """Return what ``usage`` of a model costs in nano-dollars."""
        return cost(usage, self._price(model))

    def entry(self, call: Call, call_id: str, outcome: Outcome) -> Entry:
        """Return what the ledger keeps of a call; one to which the model responded with an error is an error."""
        assert call.model is not None
        if call.status >= 400:
            outcome = "error"
        seconds = asyncio.get_running_loop().time() - call.started
        assert call.identity is not None
        own, price = self._is_own(call.identity, call.model), self._price(call.model.name)
        made, nano_dollars = entry(call, call_id, price, Settled(outcome, self._now(), seconds), own=own)
        if outcome != "error" and call.usage is not None:
            self._count(call, call.usage, nano_dollars)
        return made

    def _price(self, model: str) -> Price:
        prices = self._prices()
        if prices is not self._known_prices:
            self._known_prices, self._price_of = prices, {}
        price = self._price_of.get(model)
        if price is None:
            price = self._price_of[model] = price_of(model, prices)
        return price

    def _count(self, call: Call, usage: Usage, nano_dollars: int) -> None:
        assert call.identity is not None
        assert call.model is not None
        for kind, tokens in (
            ("input", usage.prompt_tokens - usage.cached_tokens),
            ("cached_input", usage.cached_tokens),
            ("output", usage.completion_tokens),
        ):
            if tokens:
                key = call.model.name, kind
                counter = self._tokens.get(key)
                if counter is None:
                    counter = self._tokens[key] = self._metrics.tokens.labels(*key)
                counter.inc(tokens)
        if nano_dollars:
            self._cost_of(call.identity.tenant).inc(nano_dollars / NANO)

    def _cost_of(self, tenant: str) -> Counter:
        if tenant not in self._costs:
            tenant = tenant if len(self._costs) < _TENANTS else _OTHERS
            self._costs[tenant] = self._metrics.cost.labels(tenant)
        return self._costs[tenant]
