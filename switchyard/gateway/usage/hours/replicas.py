"""Which replicas exist whose hours have a price."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from switchyard.catalog import Catalog, CatalogError, CatalogSource
from switchyard.gateway.tenants.prices import Price
from switchyard.gateway.usage.entries import pool_of
from switchyard.gateway.usage.prices import price_of


@dataclass(frozen=True, slots=True)
class Replicas:
    """The ``count`` of replicas of one server, whose hours cost ``price`` nano-dollars each, for calls of ``pool``."""

    pool: str
    price: int
    count: int


Look = Callable[[], Mapping[str, Replicas] | None]


def existing(catalog: Catalog, prices: tuple[Price, ...], tenant: str = "") -> Mapping[str, Replicas]:
    """Return the replicas of each server, by its URL; they are those of ``tenant`` alone, if one is named.

    A server with several models, adapters or those of a repository, has the price of the first by name, adapters last.
    """
    found: dict[str, Replicas] = {}
    for model in sorted(catalog.models.values(), key=lambda model: (model.kind == "adapter", model.name)):
        price = price_of(model.name, prices)
        if model.replicas and price.replica_hour and model.url not in found:
            found[model.url] = Replicas(pool_of(price, tenant), price.replica_hour, model.replicas)
    return found


def looking(source: CatalogSource, own: Mapping[str, CatalogSource], prices: Callable[[], tuple[Price, ...]]) -> Look:
    """Return what says which replicas exist, shared ones and tenants' own.

    It returns None while no hour has a price, and where a catalog cannot be read.
    """

    def look() -> Mapping[str, Replicas] | None:
        listed = prices()
        if not any(price.replica_hour for price in listed):
            return None
        try:
            found = dict(existing(source.current(), listed))
            for tenant, theirs in own.items():
                found |= existing(theirs.current(), listed, tenant)
        except (CatalogError, OSError):
            return None
        return found

    return look
