"""Stages: the response to an equal request in place of a model's, and of what is not there yet one for all who ask.

Two, around what counts for limits and on the bill: ``lookup`` finds out whether a response is there, so that a call is
counted for what it will take, and ``respond`` sends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import orjson

from switchyard.catalog import Model
from switchyard.gateway.cache import embeddings
from switchyard.gateway.cache.canonical import CACHED, ITEMS, Served, key_of, why_not
from switchyard.gateway.cache.control import FORCE_HEADER, Control, read_control
from switchyard.gateway.cache.counting import CacheCounts
from switchyard.gateway.cache.items import Items
from switchyard.gateway.cache.policy import Revisions, Scope, not_cached, scope_of
from switchyard.gateway.cache.responses import Asked, Responses
from switchyard.gateway.call import Call
from switchyard.gateway.lookup import Locate
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.recordings.generations import Generations
from switchyard.gateway.tenants.caching import Caching
from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError
from switchyard.http.json_cost import is_cheap, outline
from switchyard.store.contract import StoreError

_HASHED_BYTES = 256 * 1024  # of a body, beyond which another thread hashes it: a quarter of a millisecond
_AWAY_SECONDS = 1.0  # a store that did not respond is asked so often


def respond(call: Call, proceed: Proceed) -> Awaitable[None]:
    """Send the response that ``Cache.lookup`` has found, if it has found one."""
    return proceed(call) if call.cached is None else call.cached(call, proceed)


class Cache:
    """Finds the responses to equal requests, or has them made for all who ask meanwhile.

    ``of_all`` is the cache of a gateway without keys. ``is_own`` says whether a model runs for its tenant alone,
    ``locate`` finds what serves now, and ``version`` is this program's.
    """

    def __init__(
        self,
        generations: Generations,
        counts: CacheCounts,
        of_all: Caching | None,
        is_own: Callable[[Identity, Model], bool],
        locate: Locate,
        version: str,
    ) -> None:
        self.counts = counts
        self.store = generations.store
        self._of_all = of_all
        self._is_own = is_own
        self._version = version
        self._time = asyncio.get_running_loop().time
        self._revisions = Revisions()
        self._away_until = 0.0
        is_current = partial(_is_current, locate)
        self._responses = Responses(generations, counts, is_current)
        self._items = Items(generations.store, counts, is_current)

    def lookup(self, call: Call, proceed: Proceed) -> Awaitable[None]:
        """Stage: find the response to an equal request; of a call that is not cached, do nothing."""
        if call.route.path not in CACHED or call.route.rpc or call.method != b"POST":
            return proceed(call)
        assert call.model is not None
        scope = scope_of(call.identity, self._of_all, call.model.name)
        return proceed(call) if scope is None else self._run(call, proceed, scope)

    async def aclose(self) -> None:
        """Wait until what was asked for is written."""
        await self._items.aclose()

    async def _run(self, call: Call, proceed: Proceed, scope: Scope) -> None:
        """Send a response from the cache, or have one made that is kept there, or leave both be."""
        control = read_control(call.fields.get(b"cache-control"), call.fields.get(FORCE_HEADER))
        asked = None if control.no_store or self._time() < self._away_until else await self._asked(call, scope, control)
        if asked is not None:
            try:
                send = await self._find(call, asked)
            except StoreError:
                self._away_until = self._time() + _AWAY_SECONDS
                self.counts.store_error()
            else:
                await send(call, proceed)
                return
        if control.only_if_cached:
            raise not_cached()
        self._responses.pass_by(call)
        await proceed(call)

    async def _find(self, call: Call, asked: Asked) -> Callable[[Call, Proceed], Awaitable[None]]:
        if asked.inputs is not None:
            return await self._items.find(call, asked, asked.inputs)
        return await self._responses.find(call, asked)

    async def _asked(self, call: Call, scope: Scope, control: Control) -> Asked | None:
        """Return what a call asks for; None if the response to it is not cached."""
        model, identity = call.model, call.identity
        assert model is not None
        # What a graph's steps are, and which of them responds, is not known here.
        if model.kind == "graph" or not self._revisions.is_settled(model):
            return None
        payload = await _payload(call)
        if why_not(call.route, payload, call.body, force=control.force) is not None:
            return None
        owner = identity.tenant if identity is not None and self._is_own(identity, model) else ""
        served = Served(model=model.name, revision=f"{self._version} {model.revision}", owner=owner)
        inputs, body = None, call.body
        if payload is not None and call.route.path == ITEMS and len(body) <= embeddings.BODY_BYTES:
            inputs = embeddings.inputs_of(payload)
        if inputs is None:
            make = partial(key_of, scope.name, call.route, served, payload, body)
        else:
            shared = {name: value for name, value in (payload or {}).items() if name != "input"}
            body = orjson.dumps(shared)
            make = partial(key_of, scope.name, call.route, served, shared, body)
        beside: dict[str, Any] = {"params": call.params, "query": call.query, "fields": call.fields}
        large = len(body) > _HASHED_BYTES
        key = await asyncio.to_thread(make, **beside) if large else make(**beside)
        return Asked(scope=scope, key=key, control=control, payload=payload, inputs=inputs)


def _is_current(locate: Locate, call: Call) -> bool:
    """Whether the catalog says of a call's model what it said when the call came."""
    try:
        now = locate(call.model_name, call.identity)
    except ApiError:
        return False
    return call.model is not None and (now.revision, now.url) == (call.model.revision, call.model.url)


async def _payload(call: Call) -> Mapping[str, Any] | None:
    """Return a JSON body's content, of a large one without its long strings; None of a body that is no JSON."""
    if call.route.body not in ("json", "form"):
        return None
    items = call.route.path == ITEMS and len(call.body) <= embeddings.BODY_BYTES
    text = call.body if items or is_cheap(call.body) else await outline(call.body)
    found = orjson.loads(text)
    return found if isinstance(found, dict) else None
