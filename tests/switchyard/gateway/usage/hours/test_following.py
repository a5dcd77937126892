"""A gateway that runs shares out what gateways before it have counted."""

import asyncio
from pathlib import Path

import yaml

from switchyard.catalog import Catalog, CatalogFile
from switchyard.gateway.usage.hours.charging import Charging
from switchyard.gateway.usage.platform import OWNER
from switchyard.store.ledger import Total
from switchyard.store.sqlite_ledger import SqliteLedger
from tests.switchyard.gateway.tenants.access import document
from tests.switchyard.gateway.test_process import process
from tests.switchyard.gateway.usage.hours.conftest import PRICE, START, Clock
from tests.switchyard.gateway.usage.hours.test_charging import an_hour


async def test_a_gateway_shares_out_the_hour_of_one_that_was_killed(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "ledger.db"
    killed = SqliteLedger(file, clock=clock)
    await an_hour(killed, clock)
    await killed.aclose()
    tenants = tmp_path / "tenants.yaml"
    prices = [{"models": ["auto", "chat"], "accelerator_hour": str(PRICE / 10**9)}]
    tenants.write_text(yaml.safe_dump({**document(), "prices": prices}))
    CatalogFile(tmp_path / "catalog.json").replace(Catalog({}))
    env = {"SWITCHYARD_TENANTS": str(tenants), "SWITCHYARD_STORE": f"sqlite://{file}"}
    async with process(tmp_path / "catalog.json", **env):
        ledger = SqliteLedger(file)
        async with asyncio.timeout(60):
            while not any("idle" in one.dimensions for one in await totals(ledger)):
                await asyncio.sleep(0.1)
        bill = await ledger.rows("acme", since=START, until=2**40)
        assert len([row for _, row in bill if b"accelerator hours" in row]) == 2
        await Charging(ledger).charge()
        assert await ledger.rows("acme", since=START, until=2**40) == bill
        await ledger.aclose()


async def totals(ledger: SqliteLedger) -> list[Total]:
    return await ledger.totals(OWNER, since=START, until=2**40, width=86400)
