"""Single embeddings in the cache: the model is asked for those that are missing."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from switchyard.gateway.cache.counting import CacheCounts
from switchyard.gateway.cache.embeddings import Item, merged, name_of, split, with_inputs
from switchyard.gateway.cache.held import HeldEdge
from switchyard.gateway.cache.policy import may_keep, not_cached, result_headers
from switchyard.gateway.cache.responses import Asked, Send, settle
from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.settlements import new_call_id
from switchyard.http.headers import Header
from switchyard.http.usage import Usage
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import SEGMENT_BYTES, Recordings, SupersededError

logger = logging.getLogger(__name__)

ITEMS_HEADER = b"x-switchyard-cache-items"
_AT_ONCE = 32  # operations on the store; others have their turn after so many
_LEASE_SECONDS = 10.0  # a text is written within milliseconds
_TASKS = 64  # requests whose embeddings are being written; those of more are not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A request for embeddings, by the names of its ``inputs``; ``known`` are those that are there, by name."""

    asked: Asked
    inputs: Sequence[Any]
    names: Sequence[str]
    known: Mapping[str, Item]
    oldest: float

    @property
    def missing(self) -> Mapping[str, Any]:
        """What the model is to be asked for, each text once."""
        pairs = zip(self.names, self.inputs, strict=True)
        return {name: one for name, one in pairs if name not in self.known}


class Items:
    """Finds embeddings one by one, asks for the rest, and keeps these."""

    def __init__(self, store: Recordings, counts: CacheCounts, is_current: Callable[[Call], bool]) -> None:
        self._store = store
        self._counts = counts
        self._is_current = is_current
        self._writing: set[asyncio.Task[None]] = set()

    async def find(self, call: Call, asked: Asked, inputs: Sequence[Any]) -> Send:
        """Return what sends the embeddings.

        Raises:
            ApiError: they are wanted from the cache alone, and are not there.
            StoreError: the store does not respond.
        """
        names = [name_of(asked.key.content, one) for one in inputs]
        known, oldest = await self._known(asked, dict.fromkeys(names))
        request = _Request(asked=asked, inputs=inputs, names=names, known=known, oldest=oldest)
        missing = request.missing
        if missing and asked.control.only_if_cached:
            raise not_cached()
        self._counts.items(call, len(known), len(missing))
        return partial(self._ask if missing else self._hit, request)

    async def aclose(self) -> None:
        """Wait until what was asked for is written."""
        await asyncio.gather(*self._writing)

    async def _known(self, asked: Asked, names: Mapping[str, None]) -> tuple[Mapping[str, Item], float]:
        """Return the items that are there, by name, and the age of the oldest."""
        known: dict[str, Item] = {}
        oldest, wanted, scope = 0.0, list(names), asked.scope.name
        if asked.control.no_cache:
            return known, oldest
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            pages = await asyncio.gather(*(self._store.find(scope, name) for name in some))
            for name, page in zip(some, pages, strict=True):
                if page is None or page.recording.state != "complete" or not asked.control.takes(page.recording.age):
                    continue
                if (item := Item.loads(b"".join(page.segments))) is not None:
                    known[name] = item
                    oldest = max(oldest, page.recording.age)
            await asyncio.sleep(0)
        return known, oldest

    async def _hit(self, request: _Request, call: Call, proceed: Proceed) -> None:
        """Send what is all there."""
        hits = request.asked.scope.caching.hits
        if hits == "nothing":
            await self._send_known(request, call, proceed)
            return
        tokens = sum(request.known[name].tokens for name in request.names)
        call.cached = partial(self._send_known, request)
        call.counts = Usage() if hits == "requests" else Usage(prompt_tokens=tokens)
        await proceed(call)

    async def _send_known(self, request: _Request, call: Call, proceed: Proceed) -> None:
        if call.counts is not None:
            await settle(call, call.counts)
        body = self._merged(request, request.known, call)
        call.edge.add_headers(self._headers("hit", request))
        call.edge.respond(200, [(b"content-type", b"application/json")], body)
        self._counts.request(call, "hit", len(body))

    async def _ask(self, request: _Request, call: Call, proceed: Proceed) -> None:
        """Ask the model for what is missing alone."""
        payload = request.asked.payload
        assert payload is not None
        if request.known or len(request.missing) < len(request.inputs):
            call.body = with_inputs(payload, list(request.missing.values()))
        call.cached = partial(self._complete, request)
        await proceed(call)

    async def _complete(self, request: _Request, call: Call, proceed: Proceed) -> None:
        """Put together what the model says and what is known, and keep the former."""
        edge, held = call.edge, HeldEdge(call.edge)
        if request.asked.scope.caching.hits == "tokens" and request.known:
            self._count_known(request, call)
        call.edge = held
        try:
            await proceed(call)
        finally:
            call.edge = edge
        missing, text = request.missing, held.text
        edge.add_headers(self._headers("miss", request))
        self._counts.request(call, "miss")
        status = held.code
        assert isinstance(status, int)
        items = split(text, list(missing.values())) if status == 200 else None
        if items is None:
            edge.respond(status, held.headers, text)
            return
        found = dict(zip(missing, items, strict=True))
        whole = text if len(found) == len(request.names) else self._merged(request, {**request.known, **found}, call)
        edge.respond(status, held.headers, whole)
        if may_keep(call, dict(held.headers), b"") and self._is_current(call) and len(self._writing) < _TASKS:
            task = asyncio.get_running_loop().create_task(self._keep(request.asked, found))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    def _count_known(self, request: _Request, call: Call) -> None:
        """Let the call count what is known too, when it is settled."""
        counted, tokens = call.settle, sum(item.tokens for item in request.known.values())
        if counted is None:
            return

        async def settle_all() -> None:
            if call.usage is not None:
                call.usage = replace(call.usage, prompt_tokens=call.usage.prompt_tokens + tokens)
            await counted()

        call.settle = settle_all

    async def _keep(self, asked: Asked, found: Mapping[str, Item]) -> None:
        names = list(found)
        try:
            for first in range(0, len(names), _AT_ONCE):
                some = names[first : first + _AT_ONCE]
                await asyncio.gather(*(self._keep_one(asked, name, found[name].dumps()) for name in some))
                await asyncio.sleep(0)
        except StoreError as err:
            logger.warning("the store did not take embeddings: %s", err)

    async def _keep_one(self, asked: Asked, name: str, data: bytes) -> None:
        if len(data) > SEGMENT_BYTES:
            return
        scope, seconds, own = asked.scope, asked.scope.caching.seconds, new_call_id()
        begin = partial(self._store.claim, scope.name, name, own, b"", lease=_LEASE_SECONDS, ttl=_LEASE_SECONDS)
        if await begin() is not None:
            if asked.control == type(asked.control)():
                return  # another request was quicker
            await self._store.forget(scope.name, name)
            if await begin() is not None:
                return
        bounds = scope.item_bounds
        with suppress(SupersededError):  # it took longer than the lease
            await self._store.finish(scope.name, own, 0, data, complete=True, ttl=seconds, bounds=bounds)

    def _merged(self, request: _Request, found: Mapping[str, Item], call: Call) -> bytes:
        items = [found[name] for name in request.names]
        return merged(items, call.request_id.decode(), int(time.time()))

    @staticmethod
    def _headers(result: str, request: _Request) -> Sequence[Header]:
        known = sum(name in request.known for name in request.names)
        items = ITEMS_HEADER, b"%d/%d" % (known, len(request.names))
        return (*result_headers(result, request.oldest if result == "hit" else None), items)
