"""The row of each call, page by page: what finance keeps of every day."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from switchyard.gateway.routes.query import LATEST, number, parameters, require_none
from switchyard.http.api_errors import ApiError
from switchyard.store.ledger import Ledger

_ROWS = 1000  # on a page: some 600 KB
_CURSOR = re.compile(r"([0-9]{1,18}(-[0-9]{1,18})?)?")
_TENANTS = 500  # looked at for a page, as each is a question to the store


@dataclass(frozen=True, slots=True)
class RowsQuery:
    """Calls that were settled from ``start`` to before ``end``, in seconds since 1970, of some tenants or all (None).

    ``tenant`` and ``cursor`` say after which row the page begins.
    """

    start: int
    end: int
    count: int
    tenants: frozenset[str] | None
    tenant: str
    cursor: str


def read_rows_query(text: bytes, now: float) -> RowsQuery:
    """Read the query string of a request.

    Raises:
        ApiError: a parameter is unknown, missing or has a value that is not possible.
    """
    given = parameters(text)
    if "start_time" not in given:
        raise ApiError("invalid_value", "start_time is missing: seconds since 1970", param="start_time")
    start = number(given, "start_time", 0, 0, LATEST)
    end = number(given, "end_time", int(now) + 1, 0, LATEST)
    count = number(given, "limit", _ROWS, 1, _ROWS)
    tenants = frozenset(given.pop("project_ids")) if "project_ids" in given else None
    tenant, _, cursor = given.pop("page", [""])[-1].partition(":")
    if not _CURSOR.fullmatch(cursor):
        raise ApiError("invalid_value", "page is not one that a page before named", param="page")
    require_none(given)
    return RowsQuery(start, end, count, tenants, tenant, cursor)


async def rows_page(ledger: Ledger, query: RowsQuery, tenants: Sequence[str]) -> bytes:
    """Return a page of rows as JSON, tenant by tenant in alphabetical order, each by the time it was settled.

    Raises:
        StoreError: the store does not respond.
    """
    asked = tenants if query.tenants is None else [name for name in tenants if name in query.tenants]
    wanted = [name for name in sorted(asked) if name >= query.tenant]
    found: list[bytes] = []
    following = ""
    for place, tenant in enumerate(wanted):
        if place == _TENANTS:
            following = f"{tenant}:"
            break
        after = query.cursor if tenant == query.tenant else ""
        missing = query.count - len(found)
        some = await ledger.rows(tenant, since=query.start, until=query.end, after=after, count=missing)
        found += [row for _, row in some]
        if len(some) == missing:
            following = f"{tenant}:{some[-1][0]}"
            break
    more = orjson.dumps({"has_more": bool(following), "next_page": following or None})
    # The rows are JSON already, as they were written.
    return b'{"object":"page","data":[' + b",".join(found) + b"]," + more[1:]
