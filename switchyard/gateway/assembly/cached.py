"""The cache of responses, and where its stages stand."""

from collections.abc import Sequence

from switchyard.gateway.assembly.parts import Parts
from switchyard.gateway.cache.counting import CacheCounts
from switchyard.gateway.cache.policy import caching_of_all
from switchyard.gateway.cache.stages import Cache, respond
from switchyard.gateway.lookup import Visible, locator, own_instances
from switchyard.gateway.pipeline import Stage
from switchyard.gateway.recordings.generations import Generations
from switchyard.gateway.stages.endpoints.listing import server_version


def cache_of(given: Parts, visible: Visible, generations: Generations | None) -> Cache | None:
    """Return the cache of responses, None where there is no store to keep them."""
    if generations is None:
        return None
    counts, of_all = CacheCounts(given.meter), None if given.tenants else caching_of_all(given.settings)
    return Cache(generations, counts, of_all, own_instances(given.own), locator(visible), server_version())


def with_cache(cache: Cache | None, counted: Sequence[Stage]) -> Sequence[Stage]:
    """Return the stages that count, between those of the cache: a response from there counts as its tenant's says."""
    return counted if cache is None else (cache.lookup, *counted, respond)
