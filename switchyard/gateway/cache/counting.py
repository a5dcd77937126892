"""Counts what the cache did, by model."""

from typing import Any, Literal

from switchyard.gateway.call import Call
from switchyard.gateway.meter import UNKNOWN, Meter

Result = Literal["hit", "miss", "joined", "bypass"]
RESULTS: tuple[Result, ...] = ("hit", "miss", "joined", "bypass")
ITEM_RESULTS: tuple[Result, ...] = ("hit", "miss")


class CacheCounts:
    """The cache's metrics with label children that are bound once; those of models that are gone are removed."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._metrics = meter.metrics.cache
        self._children: dict[tuple[str, Result], Any] = {}
        self._bytes: dict[str, Any] = {}
        self._items: dict[tuple[str, Result], Any] = {}
        self._forget_elsewhere = meter.on_forget_model
        meter.on_forget_model = self._forget

    def request(self, call: Call, result: Result, size: int = 0) -> None:
        """Count a request, and the bytes that it got from the cache."""
        model = self._label(call)
        child = self._children.get((model, result))
        if child is None:
            for one in RESULTS:  # all of them: a rate sees the first of each
                self._children[model, one] = self._metrics.requests.labels(model, one)
            child = self._children[model, result]
        child.inc()
        if size:
            held = self._bytes.get(model)
            if held is None:
                held = self._bytes[model] = self._metrics.bytes.labels(model)
            held.inc(size)

    def items(self, call: Call, hits: int, misses: int) -> None:
        """Count the embeddings that were there, and those that were asked for."""
        model = self._label(call)
        for result, count in zip(ITEM_RESULTS, (hits, misses), strict=True):
            child = self._items.get((model, result))
            if child is None:
                child = self._items[model, result] = self._metrics.embeddings.labels(model, result)
            child.inc(count)

    def store_error(self) -> None:
        """Count a look-up to which the store did not respond."""
        self._metrics.store_errors.inc()

    def totals(self) -> dict[Result, int]:
        """Return how many requests had each result, since this process started and of models that are served."""
        totals = dict.fromkeys(RESULTS, 0)
        for (_, result), child in self._children.items():
            totals[result] += int(child._value.get())
        return totals

    def _label(self, call: Call) -> str:
        return UNKNOWN if call.model is None else self._meter.model(call.model.name)

    def _forget(self, model: str) -> None:
        self._forget_elsewhere(model)
        for children, family in ((self._children, self._metrics.requests), (self._items, self._metrics.embeddings)):
            for key in [key for key in children if key[0] == model]:
                del children[key]
                family.remove(*key)
        if self._bytes.pop(model, None) is not None:
            self._metrics.bytes.remove(model)
