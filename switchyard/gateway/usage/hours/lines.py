"""What an admin sees of hours beside tenants' costs: what was idle, and for how long nobody watched."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from switchyard.gateway.usage.entries import NANO
from switchyard.gateway.usage.hours.entries import Dimensions
from switchyard.gateway.usage.platform import OWNER
from switchyard.store.ledger import Ledger, Total, Width

_HOUR: Width = 3600
_MARGIN = 7 * 86400  # seconds around what is asked for, in which hours were watched if any are
_MILLISECONDS = 1000

Line = dict[str, Any]


async def platform_lines(ledger: Ledger, start: int, end: int, width: int) -> Mapping[int, list[Line]]:
    """Return results of costs by the start of their bucket, to be shown apart whatever others are grouped by.

    Between hours that a gateway watched, what nobody watched is told, and costs nothing: nobody knows what existed.

    Raises:
        StoreError: the store does not respond.
    """
    totals = await ledger.totals(OWNER, since=max(0, start - _MARGIN), until=end + _MARGIN, width=_HOUR)
    return lines(totals, start, end, width)


def lines(totals: Iterable[Total], start: int, end: int, width: int) -> Mapping[int, list[Line]]:
    """Return the same of the platform's sums by the hour."""
    watched: dict[int, int] = {}
    idle: defaultdict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for total in totals:
        by = Dimensions.read(total.dimensions)
        if by.kind == "watched":
            watched[total.start] = total.amounts[0]
        elif by.kind == "idle" and start <= total.start < end:
            key = total.start // width * width, by.pool
            idle[key] = [*map(int.__add__, idle[key], total.amounts)]
    unknown: defaultdict[int, int] = defaultdict(int)
    for hour in range(min(watched, default=0) + _HOUR, max(watched, default=0), _HOUR):
        if start <= hour < end:
            unknown[hour // width * width] += _HOUR * _MILLISECONDS - watched.get(hour, 0)
    found: defaultdict[int, list[Line]] = defaultdict(list)
    for (bucket, pool), (nano_dollars, unused, existed) in sorted(idle.items()):
        found[bucket].append({**_line(f"idle {pool}", nano_dollars, unused), "replica_hours": _hours(existed)})
    for bucket, milliseconds in unknown.items():
        if milliseconds > 0:
            found[bucket].append(_line("not watched", 0, milliseconds))
    return found


def _line(name: str, nano_dollars: int, milliseconds: int) -> Line:
    return {
        "object": "organization.costs.result",
        "amount": {"value": nano_dollars / NANO, "currency": "usd", "nano_dollars": nano_dollars},
        "quantity": _hours(milliseconds),
        "line_item": name,
        "project_id": OWNER,
        "team": None,
        "api_key_id": None,
    }


def _hours(milliseconds: int) -> float:
    return milliseconds / (_HOUR * _MILLISECONDS)
