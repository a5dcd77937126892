"""Usage and costs of days, added up by whatever is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from switchyard.cli.bill.organization import Organization, Parameters

Group = Literal["day", "tenant", "team", "key", "model"]
GROUPS: tuple[Group, ...] = ("day", "tenant", "team", "key", "model")
_FIELDS: Mapping[Group, str] = {"tenant": "project_id", "team": "team", "key": "api_key_id", "model": "model"}
_USAGE = ("usage/completions", "usage/embeddings", "usage/images")
_COSTS = "costs"
_BUCKETS = 180  # the most that a page has
_NANO = 1_000_000_000
_UNWATCHED = "not watched"
PLATFORM = "(platform)"  # the project of what no tenant pays: hours of accelerators that nobody used


@dataclass(frozen=True, slots=True)
class Amounts:
    """What calls used and cost."""

    requests: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    inferences: int = 0
    pixels: int = 0
    nano_dollars: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(*map(int.__add__, astuple(self), astuple(other)))


Sums = Mapping[tuple[str, ...], Amounts]


@dataclass(frozen=True, slots=True)
class Summary:
    """Sums by the values that were asked for, and for how many hours nobody knows which replicas existed."""

    sums: Sums
    unwatched_hours: float


def dollars(nano_dollars: int) -> str:
    """Write an amount of money exactly, with two decimals or as many as it has."""
    whole, rest = divmod(nano_dollars, _NANO)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{decimals}"


def midnight(day: date) -> int:
    """Return when a day begins in UTC, in seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


async def summary(
    organization: Organization, by: Sequence[Group], since: date, until: date, tenants: Sequence[str]
) -> Summary:
    """Return what calls used and cost from ``since`` to the end of ``until``, by values of ``by`` in their order.

    Raises:
        BillError: the gateway cannot be asked.
    """
    found: dict[tuple[str, ...], Amounts] = {}
    unwatched = 0.0
    groups: set[Group] = {*by, "tenant"} if "team" in by else {*by}  # two tenants' teams may have one name
    for path in (*_USAGE, _COSTS):
        fields = [_field(path, group) for group in GROUPS if group in groups and group != "day"]
        asked: Parameters = {
            "start_time": midnight(since),
            "end_time": midnight(until + timedelta(days=1)),
            "limit": _BUCKETS,
            **({"group_by": fields} if fields else {}),
            **({"project_ids": tenants} if tenants else {}),
        }
        async for buckets in organization.pages(path, asked):
            for bucket in buckets:
                day = datetime.fromtimestamp(bucket["start_time"], UTC).date().isoformat()
                for result in bucket["results"]:
                    if result["project_id"] == PLATFORM and result["line_item"] == _UNWATCHED:
                        unwatched += result["quantity"]
                        continue
                    key = _key(path, by, day, result)
                    found[key] = found.get(key, Amounts()) + _amounts(path, result)
    return Summary(dict(sorted(found.items())), unwatched)


def total(found: Sums) -> Amounts:
    """Return the sum of all."""
    return sum(found.values(), Amounts())


def _key(path: str, by: Sequence[Group], day: str, result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values of ``by``; what is nobody's but the platform's stays apart, whatever these are."""
    said = {group: day if group == "day" else result[_field(path, group)] or "" for group in by}
    if "team" in by and "tenant" not in by:
        said["team"] = "/".join(filter(None, (result["project_id"], said["team"])))
    values = list(said.values())
    if result["project_id"] == PLATFORM and "model" not in by:
        values[-1] = f"{values[-1]} {result['line_item']}".strip()
    return tuple(values)


def _field(path: str, group: Group) -> str:
    return "line_item" if path == _COSTS and group == "model" else _FIELDS[group]


def _amounts(path: str, result: Mapping[str, Any]) -> Amounts:
    if path == _COSTS:
        return Amounts(nano_dollars=result["amount"]["nano_dollars"])
    return Amounts(
        requests=result["num_model_requests"],
        input_tokens=result.get("input_tokens", 0),
        cached_input_tokens=result.get("input_cached_tokens", 0),
        output_tokens=result.get("output_tokens", 0),
        reasoning_tokens=result.get("output_reasoning_tokens", 0),
        inferences=result.get("images", 0),
        pixels=result.get("pixels", 0),
    )
