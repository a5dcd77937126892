"""Stage: responds with usage, costs and the rows of calls, a tenant's own or, to an admin, everybody's."""

import time
from collections.abc import Callable, Sequence

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.usage.hours.lines import platform_lines
from switchyard.gateway.usage.platform import OWNER
from switchyard.gateway.usage.reports import Kind, Query, page, read_query
from switchyard.gateway.usage.rows import read_rows_query, rows_page
from switchyard.http.api_errors import ApiError
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Ledger, Total

_KINDS: dict[str, Kind] = {
    "/v1/organization/usage/completions": "completions",
    "/v1/organization/usage/embeddings": "embeddings",
    "/v1/organization/usage/images": "images",
    "/v1/organization/costs": "costs",
}
_JSON = (b"content-type", b"application/json")


def usage_reports(*, ledger: Ledger | None, now: Callable[[], float] = time.time) -> Stage:
    """Respond from the ledger; without one nothing is counted."""

    async def stage(call: Call, proceed: Proceed) -> None:
        identity = call.identity
        if ledger is None or identity is None:
            message = "this gateway counts no usage; name tenants by SWITCHYARD_TENANTS and a store by SWITCHYARD_STORE"
            raise ApiError("not_implemented", message)
        kind = _KINDS.get(call.route.path)
        try:
            is_admin = "admin" in identity.roles
            tenants = [name for name in await ledger.owners() if name != OWNER] if is_admin else [identity.tenant]
            if kind is None:
                body = await rows_page(ledger, read_rows_query(call.query, now()), tenants)
            else:
                body = await _report(ledger, read_query(kind, call.query, now()), tenants, is_admin=is_admin)
        except StoreError as err:
            raise ApiError("usage_unreadable", "the store of usage does not respond; try again", retry_after=5) from err
        call.edge.respond(200, [_JSON], body)

    return stage


async def _report(ledger: Ledger, query: Query, tenants: Sequence[str], *, is_admin: bool) -> bytes:
    asked = query.filters.get("project_id")
    totals: list[tuple[str, Total]] = []
    for tenant in tenants:
        if asked is None or tenant in asked:
            found = await ledger.totals(tenant, since=query.start, until=query.end, width=query.width)
            totals += ((tenant, total) for total in found)
    made = page(query, totals)
    if is_admin and query.kind == "costs" and not query.filters:
        lines = await platform_lines(ledger, query.start, query.end, query.width)
        for bucket in made["data"]:
            bucket["results"] += lines.get(bucket["start_time"], [])
    return orjson.dumps(made)
