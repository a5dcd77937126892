import asyncio

import pytest

from switchyard.sync.folders import ModelKey
from switchyard.sync.slots import COSTLY_SECONDS, FairSlots


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(name: object) -> ModelKey:
    return ModelKey("vision", str(name))


async def hold(slots: FairSlots, changed: float, order: list[object], release: asyncio.Event, name: str = "") -> None:
    async with slots.slot(key(name or changed), changed):
        order.append(name or changed)
        await release.wait()


async def spend(slots: FairSlots, clock: Clock, name: str, seconds: float) -> None:
    async with slots.slot(key(name), 0.0):
        clock.now += seconds


async def test_of_those_that_wait_the_one_that_changed_last_goes_next() -> None:
    slots, order, release = FairSlots(2), list[object](), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for changed in (1.0, 2.0, 3.0, 5.0, 4.0):
            tasks.create_task(hold(slots, changed, order, release))
        await asyncio.sleep(0)
        assert order == [1.0, 2.0]
        release.set()
    assert order == [1.0, 2.0, 5.0, 4.0, 3.0]


async def test_a_folder_that_took_much_lately_goes_behind_one_that_did_not_however_new_its_change_is() -> None:
    clock = Clock()
    slots, order, release = FairSlots(1, clock), list[object](), asyncio.Event()
    await spend(slots, clock, "churns", 2 * COSTLY_SECONDS)
    await spend(slots, clock, "endless", 5 * COSTLY_SECONDS)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold(slots, 1.0, order, release))
        await asyncio.sleep(0)
        tasks.create_task(hold(slots, 9.0, order, release, "endless"))
        tasks.create_task(hold(slots, 8.0, order, release, "churns"))
        tasks.create_task(hold(slots, 2.0, order, release))
        await asyncio.sleep(0)
        release.set()
    assert order == [1.0, 2.0, "churns", "endless"]


async def test_folders_that_took_much_lately_leave_a_slot_for_those_that_were_never_judged() -> None:
    clock = Clock()
    slots, order, release = FairSlots(2, clock), list[object](), asyncio.Event()
    for name in ("first", "second"):
        await spend(slots, clock, name, 5 * COSTLY_SECONDS)
    async with asyncio.TaskGroup() as tasks:
        for name in ("first", "second"):
            tasks.create_task(hold(slots, 9.0, order, release, name))
        await asyncio.sleep(0)
        assert order == ["first"]
        tasks.create_task(hold(slots, 1.0, order, release, "new"))
        await asyncio.sleep(0)
        assert order == ["first", "new"]
        release.set()
    assert order == ["first", "new", "second"]


async def test_large_folders_leave_a_slot_before_they_were_ever_judged() -> None:
    slots = FairSlots(2)
    async with slots.slot(key("large"), 1.0, 10**12):
        second = asyncio.create_task(slots.slot(key("larger"), 2.0, 10**13).__aenter__())
        await asyncio.sleep(0)
        async with asyncio.timeout(10), slots.slot(key("small"), 0.0):
            assert not second.done()
    await asyncio.wait_for(second, 10)


async def test_what_a_folder_took_is_forgotten_after_some_minutes() -> None:
    clock = Clock()
    slots = FairSlots(2, clock)
    await spend(slots, clock, "large", 5 * COSTLY_SECONDS)
    assert slots.spent(key("large")) == 5 * COSTLY_SECONDS
    clock.now += 600.0
    assert slots.spent(key("large")) < 0.05


async def test_who_is_cancelled_while_it_waits_or_holds_takes_no_slot_along() -> None:
    slots, order, release = FairSlots(1), list[object](), asyncio.Event()
    holder, waiter = (asyncio.create_task(hold(slots, changed, order, release)) for changed in (1.0, 2.0))
    await asyncio.sleep(0)
    waiter.cancel()
    holder.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)
    release.set()
    await asyncio.wait_for(hold(slots, 3.0, order, release), 10)
    assert order == [1.0, 3.0]


async def test_a_turn_that_comes_at_the_moment_of_a_cancel_is_passed_on() -> None:
    slots, order, release = FairSlots(1), list[object](), asyncio.Event()
    async with slots.slot(key("holder"), 1.0):
        waiter = asyncio.create_task(hold(slots, 2.0, order, release))
        await asyncio.sleep(0)
    waiter.cancel()  # it has its turn, and has not run since
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await asyncio.wait_for(hold(slots, 3.0, order, release), 10)


async def test_a_slot_that_becomes_free_as_all_who_wait_are_cancelled_goes_to_nobody() -> None:
    slots, order, release = FairSlots(1), list[object](), asyncio.Event()
    tasks = [asyncio.create_task(hold(slots, changed, order, release)) for changed in (1.0, 2.0, 3.0)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3
    release.set()
    await asyncio.wait_for(hold(slots, 4.0, order, release), 30)
    assert order == [1.0, 4.0]
