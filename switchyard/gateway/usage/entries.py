"""What the ledger keeps of a call: a row for whoever wants each call, and amounts that add up for everybody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.tenants.prices import Price
from switchyard.gateway.usage.prices import cost
from switchyard.http.usage import Usage
from switchyard.store.ledger import Entry

Outcome = Literal["ok", "error", "cancelled"]
# What amounts are added up, in the order in which the ledger has them: append only, as rows of the past stay.
AMOUNTS = (
    "requests",
    "errors",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "inferences",
    "pixels",
    "nano_dollars",
    "milliseconds",  # of calls that share hours of accelerators, 0 of all others
)
# By what they are added up, in this order: which of the usage endpoints shows them, team, key, model, and the models
# whose hours of accelerators a call shares, empty for none.
DIMENSIONS = ("endpoint", "team", "api_key_id", "model", "pool")
# What a row has, as whoever exports rows needs to know beforehand: a type of its own for each.
FIELDS: Mapping[str, type] = {
    "id": str,
    "request_id": str,
    "time": float,
    "tenant": str,
    "team": str,
    "api_key_id": str,
    "model": str,
    "adapter": str,
    "route": str,
    "tier": str,
    "prompt_tokens": int,
    "cached_tokens": int,
    "completion_tokens": int,
    "reasoning_tokens": int,
    "inferences": int,
    "pixels": int,
    "estimated": bool,
    "seconds": float,
    "outcome": str,
    "nano_dollars": int,
}
_EMBEDDINGS = frozenset(("/v1/embeddings", "/pooling", "/v1/score", "/v1/rerank"))
_NOTHING = Usage()
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Settled:
    """How a call ended: ``time`` in seconds since 1970, ``seconds`` since its arrival."""

    outcome: Outcome
    time: float
    seconds: float


def entry(call: Call, call_id: str, price: Price, settled: Settled, *, own: bool = False) -> tuple[Entry, int]:
    """Return what the ledger keeps of a call of a tenant, nothing of what was asked or said, and its cost.

    Errors cost nothing, and what was counted of them stays out of sums too. ``own`` says that the model runs for its
    tenant alone.
    """
    identity, model = call.identity, call.model
    assert identity is not None
    assert model is not None
    failed = settled.outcome == "error"
    usage = _NOTHING if failed or call.usage is None else call.usage
    nano_dollars, pool = cost(usage, price), pool_of(price, identity.tenant if own else "")
    row: dict[str, Any] = {
        "id": call_id,
        "request_id": call.request_id.decode(),
        "time": round(settled.time, 3),
        "tenant": identity.tenant,
        "team": identity.team,
        "api_key_id": identity.key_id,
        "model": model.name,
        "adapter": model.name if model.kind == "adapter" else "",
        "route": call.route.label,
        "tier": call.tier,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "inferences": usage.inferences,
        "pixels": usage.pixels,
        "estimated": usage.estimated,
        "seconds": round(settled.seconds, 3),
        "outcome": settled.outcome,
        "nano_dollars": nano_dollars,
    }
    amounts = (
        call.messages,
        int(failed),
        usage.prompt_tokens,
        usage.cached_tokens,
        usage.completion_tokens,
        usage.reasoning_tokens,
        usage.inferences,
        usage.pixels,
        nano_dollars,
        0 if failed or not pool else round(settled.seconds * 1000),
    )
    by = dimensions(_endpoint(call), identity.team, identity.key_id, model.name, pool)
    return Entry(orjson.dumps(row), by, amounts), nano_dollars


def pool_of(price: Price, tenant: str = "") -> str:
    """Return whose hours of accelerators a call shares, empty for none: those of ``tenant`` alone, if one is named."""
    return f"{tenant}/{price.pool}" if tenant and price.pool else price.pool


def dimensions(endpoint: str, team: str, api_key_id: str, model: str, pool: str = "") -> str:
    """Return by what amounts are added up, as the ledger keeps it."""
    return orjson.dumps((endpoint, team, api_key_id, model, *([pool] if pool else []))).decode()


def read_dimensions(text: str) -> Mapping[str, str]:
    """Return the values by the names of ``DIMENSIONS``."""
    return {"pool": "", **dict(zip(DIMENSIONS, orjson.loads(text), strict=False))}


def _endpoint(call: Call) -> str:
    assert call.model is not None
    if call.model.kind == "vision":
        return "images"
    return "embeddings" if call.model.kind == "embedding" or call.route.path in _EMBEDDINGS else "completions"
