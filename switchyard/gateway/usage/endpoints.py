"""Stage: responds with usage and costs, a tenant's own or, to an admin, everybody's."""

import time
from collections.abc import Callable

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.usage.reports import Kind, page, read_query
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
        query = read_query(_KINDS[call.route.path], call.query, now())
        asked = query.filters.get("project_id")
        totals: list[tuple[str, Total]] = []
        try:
            tenants = await ledger.owners() if "admin" in identity.roles else [identity.tenant]
            for tenant in tenants:
                if asked is None or tenant in asked:
                    found = await ledger.totals(tenant, since=query.start, until=query.end, width=query.width)
                    totals += ((tenant, total) for total in found)
        except StoreError as err:
            raise ApiError("usage_unreadable", "the store of usage does not respond; try again", retry_after=5) from err
        call.edge.respond(200, [_JSON], orjson.dumps(page(query, totals)))

    return stage
