"""Whose responses are cached, for how long, and what of a model's response may be kept."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from switchyard.catalog import Model
from switchyard.gateway.call import Call
from switchyard.gateway.settings import Settings
from switchyard.gateway.tenants.caching import Caching
from switchyard.gateway.tenants.directory import Identity
from switchyard.gateway.tenants.limits import matcher
from switchyard.http.api_errors import ApiError
from switchyard.http.headers import Header
from switchyard.store.recordings.contract import Bounds

SETTLE_SECONDS = 30.0  # after another revision is seen; whoever loads a new content has done so by then
_MODELS = 2048  # whose revisions are remembered; a full table is begun anew
_ITEMS = 1_000_000  # embeddings of a scope, which their bytes bound long before
# A response that an engine has cut, as it was told to abort it: in JSON's strings quotes are escaped.
_CUT = re.compile(rb'"(?:finish|stop)_reason": ?"(?:abort|error)"')


@dataclass(frozen=True, slots=True)
class Scope:
    """Who gets each other's responses: the name in the store, and how they are cached."""

    name: str
    caching: Caching

    @property
    def bounds(self) -> Bounds:
        """What is kept of responses."""
        return Bounds(size=self.caching.size)

    @property
    def item_bounds(self) -> Bounds:
        """What is kept of single embeddings."""
        return Bounds(recordings=_ITEMS, size=self.caching.size)


def scope_of(identity: Identity | None, of_all: Caching | None, model: str) -> Scope | None:
    """Return the scope of a call to a model, None of one that is not cached.

    A shared scope has a form that no tenant's own has. ``of_all`` is the cache of a gateway without keys.
    """
    caching = of_all if identity is None else identity.caching
    if caching is None or (caching.models and not matcher(caching.models)(model)):
        return None
    return Scope(scope_name(None if identity is None else identity.tenant, caching), caching)


@lru_cache(4096)
def scope_name(tenant: str | None, caching: Caching) -> str:
    """Return the store's name of a scope; of a gateway without keys there is one, for ``tenant`` None."""
    if tenant is None:
        return "open"
    return f"share:{caching.share}" if caching.share else f"tenant:{tenant}"


def caching_of_all(settings: Settings) -> Caching | None:
    """Return how a gateway without keys caches, None if it does not."""
    if not settings.cache_seconds:
        return None
    return Caching(seconds=settings.cache_seconds, size=settings.cache_megabytes * 1_000_000)


class Revisions:
    """Which revision of each model was seen, and whether it has been there for long enough.

    While a model gets another content, the catalog may name one and the process that responds have the other: what is
    said then is not kept.
    """

    def __init__(self, now: Callable[[], float] | None = None, seconds: float = SETTLE_SECONDS) -> None:
        self._now = now or asyncio.get_running_loop().time
        self._seconds = seconds
        self._seen: dict[tuple[str, str], tuple[str, float]] = {}

    def is_settled(self, model: Model) -> bool:
        """Return whether the model has had its revision for a while, or since it was first seen."""
        key = model.name, model.url
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= _MODELS:
                self._seen.clear()
            self._seen[key] = model.revision, float("-inf")
            return True
        revision, since = seen
        if revision != model.revision:
            since = self._now()
            self._seen[key] = model.revision, since
        return self._now() - since >= self._seconds


def may_keep(call: Call, headers: Mapping[bytes, bytes], tail: bytes) -> bool:
    """Return whether a complete response may be kept, by its headers and the end of its body."""
    if call.route.body == "json" and headers.get(b"content-encoding", b"identity") != b"identity":
        return False  # chosen by what this client accepts, which is not in the key
    said = headers.get(b"cache-control", b"").lower()
    return b"no-store" not in said and b"private" not in said and _CUT.search(tail) is None


def not_cached() -> ApiError:
    """Return the error for who wants a response from the cache alone, and there is none."""
    message = "the request asks for a response from the cache alone (only-if-cached), and there is none"
    return ApiError("not_cached", message, final=True)


def result_headers(result: str, age: float | None = None) -> tuple[Header, ...]:
    """Return what a response says of the cache; ``age`` in seconds of one that comes from there."""
    header: Header = (b"x-switchyard-cache", result.encode())
    return (header,) if age is None else (header, (b"age", b"%d" % max(0, age)))
