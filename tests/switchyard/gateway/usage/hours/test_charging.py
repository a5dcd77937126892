"""Hours that are over are on the bills of whoever used them, once and to the nano-dollar, and the rest is idle."""

import asyncio

import pytest

from switchyard.gateway.usage.entries import AMOUNTS, read_dimensions
from switchyard.gateway.usage.hours.charging import Charging
from switchyard.gateway.usage.hours.entries import Dimensions
from switchyard.gateway.usage.hours.lines import lines
from switchyard.gateway.usage.hours.shares import cost
from switchyard.gateway.usage.hours.watch import Watch
from switchyard.gateway.usage.platform import OWNER
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Ledger
from tests.switchyard.gateway.usage.hours.conftest import (
    HOUR,
    POOL,
    PRICE,
    START,
    Clock,
    Failing,
    Fleet,
    pass_time,
    used,
)

DOLLARS = AMOUNTS.index("nano_dollars")
Bills = dict[tuple[str, str], int]


async def bills(ledger: Ledger) -> tuple[Bills, int, int]:
    """What tenants pay for models, what was idle, and what the hours that are over cost."""
    found: Bills = {}
    for tenant in await ledger.owners():
        if tenant != OWNER:
            for total in await ledger.totals(tenant, since=START, until=START + 86400, width=86400):
                key = tenant, read_dimensions(total.dimensions)["model"]
                found[key] = found.get(key, 0) + total.amounts[DOLLARS]
    idle, price = 0, 0
    for total in await ledger.totals(OWNER, since=START, until=START + 86400, width=HOUR):
        by = Dimensions.read(total.dimensions)
        if by.kind == "idle":
            idle += total.amounts[0]
        elif by.kind == "existed" and total.start < START + HOUR:
            price += cost({by.price: total.amounts[0]})
    return found, idle, price


async def an_hour(ledger: Ledger, clock: Clock) -> None:
    """acme has two calls, one by a graph, and globex one; the rest of the hour is nobody's."""
    watch = Watch(ledger, Fleet(), clock)
    await pass_time(clock, 600, watch)
    await used(ledger, "acme", 123.457)
    await used(ledger, "globex", 77.001)
    await used(ledger, "globex", 5000, model="embed", pool="")
    await pass_time(clock, 600, watch)
    await used(ledger, "acme", 11.1, model="auto")
    await pass_time(clock, HOUR - 1200, watch)


async def test_tenants_pay_for_their_time_and_the_rest_is_idle_whoever_shares_it_out(
    ledger: Ledger, clock: Clock
) -> None:
    await an_hour(ledger, clock)
    gateways = [Charging(ledger, clock) for _ in range(3)]
    await gateways[0].charge()
    assert (await bills(ledger))[1] == 0  # not before all of the hour is written
    clock.now += 300
    for _ in range(2):
        await asyncio.gather(*(one.charge() for one in gateways))
    found, idle, price = await bills(ledger)
    assert sum(found.values()) + idle == price
    assert price == cost({PRICE: 59 * 60_000})  # the last minute is written after the hour
    # Nobody pays more than the price of its own time.
    for key, seconds in {("acme", "chat"): 123.457, ("globex", "chat"): 77.001, ("acme", "auto"): 11.1}.items():
        assert abs(found[key] - PRICE * seconds / HOUR) <= 1
    assert found["globex", "embed"] == 0
    rows = [row for _, row in await ledger.rows("globex", since=START, until=START + 86400)]
    assert len([row for row in rows if b"accelerator hours" in row]) == 1


async def test_calls_side_by_side_share_the_whole_price(ledger: Ledger, clock: Clock) -> None:
    watch = Watch(ledger, Fleet(), clock)
    await pass_time(clock, 600, watch)
    for tenant, seconds in (("acme", 3000), ("globex", 6000)):
        await used(ledger, tenant, seconds)
    await pass_time(clock, HOUR - 300, watch)
    await Charging(ledger, clock).charge()
    found, idle, price = await bills(ledger)
    assert (idle, sum(found.values())) == (0, price)
    assert abs(found["globex", "chat"] - 2 * found["acme", "chat"]) <= 2


@pytest.mark.parametrize("takes", [0, 1, 2, 3, 4, 5])
async def test_a_gateway_that_is_killed_meanwhile_leaves_the_rest_to_another_one(
    ledger: Ledger, clock: Clock, takes: int
) -> None:
    await an_hour(ledger, clock)
    clock.now += 300
    with pytest.raises(StoreError):
        await Charging(Failing(ledger, takes), clock).charge()
    other = Charging(ledger, clock)
    await other.charge()  # the first one may still be at it
    clock.now += 601
    await other.charge()
    found, idle, price = await bills(ledger)
    assert sum(found.values()) + idle == price
    clock.now += 601
    await Charging(ledger, clock).charge()
    assert await bills(ledger) == (found, idle, price)


async def test_what_was_begun_a_day_ago_is_left_as_it_is_and_said(
    ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await an_hour(ledger, clock)
    clock.now += 300
    with pytest.raises(StoreError):
        await Charging(Failing(ledger, 2), clock).charge()  # its beginning and one share
    before, _, _ = await bills(ledger)
    clock.now += 21 * HOUR
    await Charging(ledger, clock).charge()
    assert "shared out in part" in caplog.text
    assert (await bills(ledger))[0] == before
    assert sum(before.values()) > 0


async def test_hours_of_the_days_before_are_shared_out_when_gateways_are_back(ledger: Ledger, clock: Clock) -> None:
    await an_hour(ledger, clock)
    clock.now += 3 * 24 * HOUR
    await Charging(ledger, clock).charge()
    shares = [row for _, row in await ledger.rows("acme", since=START, until=2**40) if b"accelerator hours" in row]
    assert len(shares) == 2


async def test_an_admin_sees_what_was_idle_and_what_nobody_watched(ledger: Ledger, clock: Clock) -> None:
    await an_hour(ledger, clock)
    clock.now += 3 * HOUR
    watch = Watch(ledger, Fleet(), clock)
    await pass_time(clock, 2 * HOUR, watch)
    await Charging(ledger, clock).charge()
    totals = await ledger.totals(OWNER, since=START, until=START + 86400, width=HOUR)
    (idle, gap) = lines(totals, START, START + 86400, 86400)[START]
    assert (idle["line_item"], idle["project_id"]) == (f"idle {POOL}", OWNER)
    assert idle["amount"]["nano_dollars"] == (await bills(ledger))[1]
    assert idle["replica_hours"] > idle["quantity"] > 1
    assert gap["line_item"] == "not watched"
    assert abs(gap["quantity"] - 3) < 0.1
    assert gap["amount"]["nano_dollars"] == 0
    assert lines(totals, START + 86400, START + 2 * 86400, 86400) == {}
