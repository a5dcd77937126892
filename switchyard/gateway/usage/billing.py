"""Makes the ledger's entry of a call when it ends, and counts the call in metrics."""

import asyncio
import time
from collections.abc import Callable

from prometheus_client import Counter

from switchyard.catalog import Model
from switchyard.gateway.call import Call
from switchyard.gateway.meter import OTHERS, TENANTS, Meter
from switchyard.gateway.routes.table import Route
from switchyard.gateway.tenants.directory import Identity
from switchyard.gateway.tenants.prices import Price
from switchyard.gateway.usage.entries import NANO, Outcome, Settled, entry
from switchyard.gateway.usage.prices import cost, price_of
from switchyard.http.usage import Usage
from switchyard.store.ledger import Entry

_KINDS = ("input", "cached_input", "output")
_INFERENCES = frozenset(("ModelInfer", "ModelStreamInfer"))


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
        meter: Meter,
        now: Callable[[], float] = time.time,
        is_own: Callable[[Identity, Model], bool] = lambda identity, model: False,
    ) -> None:
        self._prices = prices
        self._meter = meter
        meter.on_forget_model = self._forget_model
        meter.on_forget_tenant = self._forget_tenant
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
        amounts = (usage.prompt_tokens - usage.cached_tokens, usage.cached_tokens, usage.completion_tokens)
        for kind, tokens in zip(_KINDS, amounts, strict=True):
            if tokens:
                counter = self._tokens.get((call.model.name, kind))
                if counter is None:
                    key = self._meter.model(call.model.name), kind
                    counter = self._tokens[key] = self._meter.metrics.usage.tokens.labels(*key)
                counter.inc(tokens)
        if nano_dollars:
            self._cost_of(call.identity.tenant).inc(nano_dollars / NANO)

    def _cost_of(self, tenant: str) -> Counter:
        if tenant not in self._costs:
            tenant = tenant if len(self._costs) < TENANTS else OTHERS
            self._costs[tenant] = self._meter.metrics.usage.cost.labels(tenant)
        return self._costs[tenant]

    def _forget_model(self, name: str) -> None:
        self._price_of.pop(name, None)
        for kind in _KINDS:
            if self._tokens.pop((name, kind), None) is not None:
                self._meter.metrics.usage.tokens.remove(name, kind)

    def _forget_tenant(self, name: str) -> None:
        if self._costs.pop(name, None) is not None:
            self._meter.metrics.usage.cost.remove(name)
