import asyncio

import pytest

from switchyard.sync.slots import NewestFirst


async def hold(slots: NewestFirst, changed: float, order: list[float], release: asyncio.Event) -> None:
    async with slots.slot(changed):
        order.append(changed)
        await release.wait()


async def test_of_those_that_wait_the_one_that_changed_last_goes_next() -> None:
    slots, order, release = NewestFirst(2), list[float](), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for changed in (1.0, 2.0, 3.0, 5.0, 4.0):
            tasks.create_task(hold(slots, changed, order, release))
        await asyncio.sleep(0)
        assert order == [1.0, 2.0]
        release.set()
    assert order == [1.0, 2.0, 5.0, 4.0, 3.0]


async def test_who_is_cancelled_while_it_waits_or_holds_takes_no_slot_along() -> None:
    slots, order, release = NewestFirst(1), list[float](), asyncio.Event()
    holder, waiter = (asyncio.create_task(hold(slots, changed, order, release)) for changed in (1.0, 2.0))
    await asyncio.sleep(0)
    waiter.cancel()
    holder.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)
    release.set()
    await asyncio.wait_for(hold(slots, 3.0, order, release), 10)
    assert order == [1.0, 3.0]


async def test_a_turn_that_comes_at_the_moment_of_a_cancel_is_passed_on() -> None:
    slots, order, release = NewestFirst(1), list[float](), asyncio.Event()
    async with slots.slot(1.0):
        waiter = asyncio.create_task(hold(slots, 2.0, order, release))
        await asyncio.sleep(0)
    waiter.cancel()  # it has its turn, and has not run since
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await asyncio.wait_for(hold(slots, 3.0, order, release), 10)
