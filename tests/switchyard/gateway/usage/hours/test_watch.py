"""Each minute is written once, by whichever gateway; what no gateway has seen is not invented."""

import pytest

from switchyard.gateway.usage.hours.entries import Dimensions
from switchyard.gateway.usage.hours.replicas import Replicas
from switchyard.gateway.usage.hours.watch import Watch
from switchyard.gateway.usage.platform import OWNER
from switchyard.store.ledger import Ledger
from tests.switchyard.gateway.usage.hours.conftest import POOL, PRICE, START, Clock, Failing, Fleet, pass_time


async def sums(ledger: Ledger) -> dict[str, int]:
    """Seconds that were watched, and that replicas of each pool existed."""
    found: dict[str, int] = {}
    for total in await ledger.totals(OWNER, since=START, until=START + 86400, width=86400):
        by = Dimensions.read(total.dimensions)
        name = by.pool or by.kind
        found[name] = found.get(name, 0) + total.amounts[0] // 1000
    return found


async def test_replicas_are_counted_by_time_whatever_number_of_gateways_watches(ledger: Ledger, clock: Clock) -> None:
    fleet = Fleet()
    gateways = [Watch(ledger, fleet, clock) for _ in range(3)]
    await pass_time(clock, 120, *gateways)
    fleet.now = {"http://chat": Replicas(POOL, PRICE, 3), "http://ocr": Replicas("ocr", PRICE, 1)}
    await pass_time(clock, 60, *gateways)
    fleet.now = {}
    await pass_time(clock, 65, *gateways)
    # What changed is seen at the next look.
    assert await sums(ledger) == {"watched": 240, POOL: 125 + 3 * 60, "ocr": 60}


async def test_a_minute_of_which_gateways_saw_a_part_has_that_part_alone(ledger: Ledger, clock: Clock) -> None:
    first = Watch(ledger, Fleet(), clock)
    await pass_time(clock, 90, first)  # and is killed
    clock.now += 600
    second = Watch(ledger, Fleet(), clock)
    await pass_time(clock, 120, second)
    found = await sums(ledger)
    assert found["watched"] == found[POOL]
    assert found["watched"] == 60 + 30 + 60  # of 90 + 600 + 120 s


async def test_who_saw_all_of_a_minute_comes_before_who_saw_a_part(ledger: Ledger, clock: Clock) -> None:
    whole = Watch(ledger, Fleet(), clock)
    await pass_time(clock, 30, whole)
    part = Watch(ledger, Fleet(), clock)
    for _ in range(12):
        clock.now += 5
        for watch in (part, whole):
            watch.tick()
            await watch.write()
    await pass_time(clock, 25, part)
    assert (await sums(ledger))["watched"] == 60


async def test_a_process_that_was_stopped_or_a_catalog_that_cannot_be_read_is_a_gap(
    ledger: Ledger, clock: Clock
) -> None:
    fleet = Fleet()
    watch = Watch(ledger, fleet, clock)
    await pass_time(clock, 30, watch)
    clock.now += 30
    await pass_time(clock, 60, watch)
    fleet.now = None
    await pass_time(clock, 60, watch)
    clock.now -= 3  # a clock that was set
    watch.tick()
    fleet.now = {}
    await pass_time(clock, 120, watch)
    found = await sums(ledger)
    assert found[POOL] == 30 + 60
    assert found["watched"] == 30 + 60 + 58  # none of the stop, or until the catalog is read again at 0:03:02


async def test_minutes_wait_for_a_store_that_is_away(
    ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(ledger, 1)
    watch = Watch(failing, Fleet(), clock)
    await pass_time(clock, 180, watch)
    assert "hours of replicas were not written yet" in caplog.text
    assert (await sums(ledger)).get("watched", 0) == 0
    failing._takes = 100
    await watch.write()
    assert await sums(ledger) == {"watched": 180, POOL: 180}
