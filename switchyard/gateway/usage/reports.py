"""Usage and costs as OpenAI's API has them: buckets of time, grouped and filtered, page by page.

https://platform.openai.com/docs/api-reference/usage: a project is a tenant here, and a line item a model.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from switchyard.gateway.routes.query import LATEST, number, parameters, require_none
from switchyard.gateway.usage.entries import AMOUNTS, NANO, read_dimensions
from switchyard.http.api_errors import ApiError
from switchyard.store.ledger import Total, Width

Kind = Literal["completions", "embeddings", "images", "costs"]
_WIDTHS: Mapping[str, Width] = {"1m": 60, "1h": 3600, "1d": 86400}
_BUCKETS: Mapping[Width, tuple[int, int]] = {60: (60, 1440), 3600: (24, 168), 86400: (7, 180)}  # usual, at most
_GROUPS = ("project_id", "team", "api_key_id", "model")
_LINE_ITEM = "line_item"
_FILTERS = {"project_ids": "project_id", "api_key_ids": "api_key_id", "models": "model", "line_items": "model"}

Amounts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: ``start`` and ``end`` in seconds since 1970, at the bounds of buckets of ``width`` seconds.

    ``next_page`` is the cursor of what does not fit into this page, and empty for the last one.
    """

    kind: Kind
    start: int
    end: int
    width: Width
    groups: tuple[str, ...]
    filters: Mapping[str, frozenset[str]]
    next_page: str

    def accepts(self, row: Mapping[str, str]) -> bool:
        """Return whether the filters let a row through; costs are of all endpoints."""
        if self.kind not in ("costs", row["endpoint"]):
            return False
        return all(row[name] in values for name, values in self.filters.items())


def read_query(kind: Kind, text: bytes, now: float) -> Query:
    """Read the query string of a request.

    Raises:
        ApiError: a parameter is unknown, missing or has a value that is not possible.
    """
    given = parameters(text)
    width = _width(given.pop("bucket_width", ["1d"])[-1], kind)
    usual, most = _BUCKETS[width]
    limit = number(given, "limit", usual, 1, most)
    if "start_time" not in given:
        raise ApiError("invalid_value", "start_time is missing: seconds since 1970", param="start_time")
    start = number(given, "start_time", 0, 0, LATEST) // width * width
    end = number(given, "end_time", int(now), 0, LATEST)
    start = max(start, number(given, "page", start, 0, LATEST) // width * width)
    end = -(-end // width) * width
    until = min(end, start + limit * width)
    groups = _groups(given.pop("group_by", []), kind)
    filters = {name: frozenset(given.pop(field)) for field, name in _FILTERS.items() if field in given}
    require_none(given)
    return Query(kind, start, max(start, until), width, groups, filters, str(until) if until < end else "")


def page(query: Query, totals: Iterable[tuple[str, Total]]) -> Mapping[str, Any]:
    """Return the page of ``totals``, each with its tenant; buckets without usage are there and empty."""
    sums: dict[int, dict[tuple[str | None, ...], list[int]]] = defaultdict(dict)
    for tenant, total in totals:
        row = {**read_dimensions(total.dimensions), "project_id": tenant}
        if query.accepts(row):
            key = tuple(row[name] if name in query.groups else None for name in _GROUPS)
            of_key = sums[total.start].setdefault(key, [0] * len(AMOUNTS))
            for place, amount in enumerate(total.amounts[: len(AMOUNTS)]):
                of_key[place] += amount
    make = _MAKERS[query.kind]
    buckets = [
        {
            "object": "bucket",
            "start_time": start,
            "end_time": start + query.width,
            "results": [
                make(dict(zip(AMOUNTS, amounts, strict=True)), dict(zip(_GROUPS, key, strict=True)))
                for key, amounts in sorted(sums.get(start, {}).items(), key=lambda item: [one or "" for one in item[0]])
            ],
        }
        for start in range(query.start, query.end, query.width)
    ]
    return {
        "object": "page",
        "data": buckets,
        "has_more": bool(query.next_page),
        "next_page": query.next_page or None,
    }


def _requests(amounts: Amounts) -> int:
    """Return how many requests were answered."""
    return amounts["requests"] - amounts["errors"]


def _completions(amounts: Amounts, group: Mapping[str, str | None]) -> Mapping[str, Any]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": amounts["prompt_tokens"],
        "input_cached_tokens": amounts["cached_tokens"],
        "output_tokens": amounts["completion_tokens"],
        "output_reasoning_tokens": amounts["reasoning_tokens"],
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
        "num_model_requests": _requests(amounts),
        **group,
        "user_id": None,
        "batch": None,
        "service_tier": None,
    }


def _embeddings(amounts: Amounts, group: Mapping[str, str | None]) -> Mapping[str, Any]:
    return {
        "object": "organization.usage.embeddings.result",
        "input_tokens": amounts["prompt_tokens"],
        "num_model_requests": _requests(amounts),
        **group,
        "user_id": None,
    }


def _images(amounts: Amounts, group: Mapping[str, str | None]) -> Mapping[str, Any]:
    return {
        "object": "organization.usage.images.result",
        "images": amounts["inferences"],
        "pixels": amounts["pixels"],
        "num_model_requests": _requests(amounts),
        **group,
        "user_id": None,
        "source": None,
        "size": None,
    }


def _costs(amounts: Amounts, group: Mapping[str, str | None]) -> Mapping[str, Any]:
    nano_dollars = amounts["nano_dollars"]
    return {
        "object": "organization.costs.result",
        # A number as OpenAI's clients want it; the whole one beside it is exact.
        "amount": {"value": nano_dollars / NANO, "currency": "usd", "nano_dollars": nano_dollars},
        "quantity": None,
        "line_item": group["model"],
        **{name: value for name, value in group.items() if name != "model"},
    }


_MAKERS: Mapping[Kind, Callable[[Amounts, Mapping[str, str | None]], Mapping[str, Any]]] = {
    "completions": _completions,
    "embeddings": _embeddings,
    "images": _images,
    "costs": _costs,
}


def _width(text: str, kind: Kind) -> Width:
    widths = ("1d",) if kind == "costs" else tuple(_WIDTHS)
    if text not in widths:
        message = f"bucket_width is {text[:80]!r}; use {' or '.join(widths)}"
        raise ApiError("invalid_value", message, param="bucket_width")
    return _WIDTHS[text]


def _groups(given: Sequence[str], kind: Kind) -> tuple[str, ...]:
    known = [_LINE_ITEM if kind == "costs" and name == "model" else name for name in _GROUPS]
    groups = [name for text in given for name in text.split(",") if name]
    for name in groups:
        if name not in known:
            raise ApiError("invalid_value", f"group_by has {name[:80]!r}; use {', '.join(known)}", param="group_by")
    return tuple("model" if name == _LINE_ITEM else name for name in groups)
