"""Which replicas have a price by the hour: each server once, by the prices of tenants.yaml."""

import json
from pathlib import Path

import pytest

from switchyard.catalog import Catalog, CatalogError, Model
from switchyard.gateway.tenants.directory import Directory
from switchyard.gateway.tenants.prices import Price
from switchyard.gateway.tenants.reader import InvalidTenantsError, read, rows
from switchyard.gateway.usage.entries import pool_of
from switchyard.gateway.usage.hours.replicas import Replicas, existing, looking

CHAT = Price(("chat*", "auto"), replica_hour=7)
SEEING = Price(("ocr", "signs"), replica_hour=3)


def catalog(**replicas: int | None) -> Catalog:
    """A language model with an adapter, two models of one repository, and a graph."""
    models = [
        Model(name="chat-poet", kind="adapter", url="http://chat", replicas=replicas.get("chat")),
        Model(name="chat", kind="llm", url="http://chat", replicas=replicas.get("chat")),
        Model(name="signs", kind="vision", url="http://vision", replicas=replicas.get("vision")),
        Model(name="ocr", kind="vision", url="http://vision", replicas=replicas.get("vision")),
        Model(name="auto", kind="graph", url="http://auto"),
        Model(name="free", kind="llm", url="http://free", replicas=5),
    ]
    return Catalog({model.name: model for model in models})


class Source:
    def __init__(self, current: Catalog | None) -> None:
        self._current = current

    def current(self) -> Catalog:
        if self._current is None:
            raise CatalogError("nothing was listed yet")
        return self._current


def test_each_server_counts_once_and_what_has_no_price_or_no_replica_not_at_all() -> None:
    found = existing(catalog(chat=2, vision=1), (CHAT, SEEING))
    assert found == {
        "http://chat": Replicas("chat*,auto", 7, 2),
        "http://vision": Replicas("ocr,signs", 3, 1),
    }
    assert existing(catalog(chat=0), (CHAT, SEEING)) == {}
    assert existing(catalog(chat=1), (Price(("*",), input=5),)) == {}


def test_a_tenants_own_replicas_are_shared_by_its_own_calls() -> None:
    look = looking(Source(catalog(vision=1)), {"acme": Source(catalog(chat=1))}, lambda: (CHAT, SEEING))
    found = look()
    assert found is not None
    assert {replicas.pool for replicas in found.values()} == {"ocr,signs", "acme/chat*,auto"}
    assert pool_of(CHAT, "acme") == "acme/chat*,auto"


def test_nobody_knows_where_a_catalog_cannot_be_read_and_nobody_asks_without_a_price() -> None:
    assert looking(Source(None), {}, lambda: (CHAT,))() is None
    assert looking(Source(catalog()), {"acme": Source(None)}, lambda: (CHAT,))() is None
    assert looking(Source(catalog(chat=1)), {}, lambda: (Price(("*",), input=5),))() is None
    assert looking(Source(catalog()), {}, lambda: (CHAT,))() == {}


def test_a_price_by_the_hour_is_of_all_accelerators_of_a_replica(tmp_path: Path) -> None:
    path, directory = tmp_path / "tenants.yaml", Directory()
    said = {"models": ["chat", "auto"], "accelerator_hour": "2.123456789", "accelerators": 4, "input": 1}
    path.write_text(json.dumps({"tenants": [], "prices": [said]}))
    for row in rows(read(path)):
        directory.add(json.loads(json.dumps(row)))
    (price,) = directory.prices
    assert (price.replica_hour, price.input, price.pool) == (8_493_827_156, 10**9, "chat,auto")
    for wrong in ({"accelerator_hour": 1001}, {"accelerator_hour": "0.0000000001"}, {"accelerators": 0}):
        path.write_text(json.dumps({"tenants": [], "prices": [{**said, **wrong}]}))
        with pytest.raises(InvalidTenantsError, match="prices"):
            read(path)


def test_the_name_of_a_pool_is_bounded_and_its_own() -> None:
    many = [Price(tuple(f"model-{number}" for number in range(last)), replica_hour=1).pool for last in (50, 51)]
    assert [len(name) for name in many] == [80, 80]
    assert many[0] != many[1]
    assert Price(("chat",), input=1).pool == ""
