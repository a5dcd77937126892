"""Stage of ``/v1/organization/audit_logs``: what was done, in OpenAI's shape, the newest first.

https://platform.openai.com/docs/api-reference/audit-logs
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.routes.query import LATEST, number, parameters, require_none
from switchyard.http.api_errors import ApiError
from switchyard.store.contract import StoreError
from switchyard.store.journal.contract import Entries, Journal

AUDIT_LOGS = "/v1/organization/audit_logs"
_JSON = (b"content-type", b"application/json")
_ID = "audit_log-"
_READ_AT_ONCE = 500
_READ_AT_MOST = 10_000  # entries for one page: a filter that lets few through goes on with the next page

Event = Mapping[str, Any]
_FILTERS: Mapping[str, Callable[[Event], object]] = {
    "project_ids": lambda event: (event["project"] or {}).get("id"),
    "event_types": lambda event: event["type"],
    "actor_ids": lambda event: event["actor"].get("api_key", {}).get("id"),
    "resource_ids": lambda event: event[event["type"]].get("id"),
}
_BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    "gt": int.__gt__,
    "gte": int.__ge__,
    "lt": int.__lt__,
    "lte": int.__le__,
}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: events that all of ``filters`` accept, older than ``after`` or newer than ``before``."""

    filters: tuple[Callable[[Event], bool], ...]
    limit: int
    after: str
    before: str


def audit_logs(*, journal: Journal | None) -> Stage:
    """Respond from the journal to calls of this route; others pass."""

    async def stage(call: Call, proceed: Proceed) -> None:
        if call.route.path != AUDIT_LOGS:
            await proceed(call)
            return
        if journal is None:
            message = (
                "this gateway keeps no audit log; name a store by SWITCHYARD_STORE; its log has a line for each act"
            )
            raise ApiError("not_implemented", message)
        query = read_query(call.query)
        try:
            found, more = await _page(journal, query)
        except StoreError as err:
            raise ApiError("store_unavailable", "the store of acts does not respond; try again", retry_after=5) from err
        except ValueError:
            param = "after" if query.after else "before"
            raise ApiError("invalid_value", f"{param} is no id of an audit log", param=param) from None
        data = [{"id": _ID + cursor, **event} for cursor, event in found]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        body = {"object": "list", "data": data, **ends, "has_more": more}
        call.edge.respond(200, [_JSON], orjson.dumps(body))

    return stage


def read_query(text: bytes) -> Query:
    """Read the query string.

    Raises:
        ApiError: a parameter is unknown or has a value that is not possible.
    """
    given = parameters(text)
    limit = number(given, "limit", 20, 1, 100)
    after, before = given.pop("after", [""])[-1], given.pop("before", [""])[-1]
    if after and before:
        raise ApiError("invalid_value", "give one of after and before", param="before")
    filters = [_one_of(_FILTERS[name], frozenset(given.pop(name))) for name in _FILTERS if name in given]
    for bound, compare in _BOUNDS.items():
        if (name := f"effective_at[{bound}]") in given:
            filters.append(_in_time(compare, number(given, name, 0, 0, LATEST)))
    require_none(given)
    return Query(tuple(filters), limit, after.removeprefix(_ID), before.removeprefix(_ID))


def _one_of(read: Callable[[Event], object], values: frozenset[str]) -> Callable[[Event], bool]:
    return lambda event: read(event) in values


def _in_time(compare: Callable[[int, int], bool], bound: int) -> Callable[[Event], bool]:
    return lambda event: compare(event["effective_at"], bound)


async def _page(journal: Journal, query: Query) -> tuple[list[tuple[str, Event]], bool]:
    """Return the events of a page, the newest first, and whether there may be more in its direction."""
    found: list[tuple[str, Event]] = []
    cursor, read = query.before or query.after, 0
    while True:
        entries = await _read(journal, query, cursor)
        for place, entry in entries:
            event = orjson.loads(entry)
            if all(accepts(event) for accepts in query.filters):
                if len(found) == query.limit:
                    return _newest_first(found, query), True
                found.append((place, event))
        read += len(entries)
        if len(entries) < _READ_AT_ONCE:
            return _newest_first(found, query), False
        if read >= _READ_AT_MOST and found:
            return _newest_first(found, query), True
        cursor = entries[-1][0]


async def _read(journal: Journal, query: Query, cursor: str) -> Entries:
    """Return entries in the direction of the query, the nearest first."""
    if query.before:
        return (await journal.newer(than=cursor, count=_READ_AT_ONCE))[::-1]
    return await journal.older(than=cursor, count=_READ_AT_ONCE)


def _newest_first(found: list[tuple[str, Event]], query: Query) -> list[tuple[str, Event]]:
    return found[::-1] if query.before else found
