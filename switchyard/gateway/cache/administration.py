"""Stage of ``/v1/organization/cache``: says what the cache holds, and forgets it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from switchyard.gateway.administration.actors import actor_of
from switchyard.gateway.audit.log import Act, AuditLog
from switchyard.gateway.cache.policy import scope_name
from switchyard.gateway.cache.stages import Cache
from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.routes.query import parameters, require_none
from switchyard.gateway.tenants.caching import Caching
from switchyard.http.api_errors import ApiError
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Held

CACHE = "/v1/organization/cache"
KINDS = ("cache", "item")  # of names in the store: whole responses, single embeddings
_NOTHING = Held(recordings=0, size=0)
_JSON = (b"content-type", b"application/json")


def administer_cache(
    *, cache: Cache | None, tenants: Callable[[], Mapping[str | None, Caching]], audit: AuditLog
) -> Stage:
    """Respond to calls of this route, others pass; ``tenants`` have a cache, None of them in a gateway without keys."""

    async def stage(call: Call, proceed: Proceed) -> None:
        if call.route.path != CACHE:
            await proceed(call)
            return
        if cache is None:
            raise ApiError("not_implemented", "this gateway keeps no responses; name a store by SWITCHYARD_STORE")
        asked = parameters(call.query)
        wanted = asked.pop("project_ids", [])
        require_none(asked)
        scopes = _scopes(tenants(), wanted)
        try:
            if call.method == b"DELETE":
                deleted = await _cleared(cache, scopes)
                details = {"scopes": list(scopes), "deleted": deleted}
                project = wanted[0] if len(wanted) == 1 else ""
                await audit.write(Act(type="cache.cleared", project=project, details=details), actor_of(call))
                body: dict[str, Any] = {"object": "organization.cache.cleared", **details}
            else:
                data = [await _held(cache, name, *scope) for name, scope in scopes.items()]
                body = {"object": "list", "data": data, "requests": cache.counts.totals()}
        except StoreError as err:
            message = "the store of responses does not respond; try again"
            raise ApiError("store_unavailable", message, retry_after=5) from err
        call.edge.respond(200, [_JSON], orjson.dumps(body))

    return stage


def _scopes(tenants: Mapping[str | None, Caching], wanted: Sequence[str]) -> Mapping[str, tuple[list[str], Caching]]:
    """Return who shares each scope, and how it is cached, of all tenants with a cache or those that are ``wanted``.

    Raises:
        ApiError: one of them has none.
    """
    if unknown := [name for name in wanted if name not in tenants]:
        message = f"there is no tenant {unknown[0][:80]!r} that has a cache; tenants.yaml says who has one"
        raise ApiError("invalid_value", message, param="project_ids")
    found: dict[str, tuple[list[str], Caching]] = {}
    for tenant, caching in tenants.items():
        found.setdefault(scope_name(tenant, caching), ([], caching))[0].extend([tenant] if tenant else [])
    if not wanted:
        return found
    return {name: scope for name, scope in found.items() if set(scope[0]) & set(wanted)}


async def _held(cache: Cache, scope: str, tenants: Sequence[str], caching: Caching) -> Mapping[str, Any]:
    held = await cache.store.held(scope)
    responses, items = (held.get(kind, _NOTHING) for kind in KINDS)
    return {
        "object": "organization.cache",
        "scope": scope,
        "tenants": tenants,
        "responses": responses.recordings,
        "response_bytes": responses.size,
        "embeddings": items.recordings,
        "embedding_bytes": items.size,
        "most_bytes": caching.size,
        "seconds": caching.seconds,
    }


async def _cleared(cache: Cache, scopes: Mapping[str, object]) -> int:
    return sum([await cache.store.clear(scope, kind) for scope in scopes for kind in KINDS])
