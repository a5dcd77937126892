import asyncio

import pytest

from switchyard.local.activator.gate import Gate, HoldLimits, Refused
from switchyard.local.plan.workloads import Address

ADDRESS = Address(http_port=1)


class Demand:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def gate(*, concurrency: int = 0, limits: HoldLimits | None = None, demand: Demand | None = None) -> Gate:
    return Gate("chat", concurrency=concurrency, limits=limits or HoldLimits(), demand=demand or Demand())


def later(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def waiting(made: Gate, size: int = 0, *, again: bool = False) -> "asyncio.Task[Address]":
    task = asyncio.create_task(made.enter(size, later(), again=again))
    await asyncio.sleep(0)
    return task


async def test_a_request_waits_until_the_gate_opens() -> None:
    demand = Demand()
    made = gate(demand=demand)
    task = await waiting(made)
    assert (made.waiting, made.busy, demand.times) == (1, True, 1)
    made.open(ADDRESS)
    assert await task == ADDRESS
    assert (made.waiting, made.in_flight) == (0, 1)


async def test_those_who_wait_go_in_order_of_arrival() -> None:
    made = gate(concurrency=1)
    made.open(ADDRESS)
    await made.enter(0, later())
    tasks = [await waiting(made) for _ in range(3)]
    for position in range(3):
        made.leave()
        await asyncio.wait(tasks[position : position + 1])
        assert [task.done() for task in tasks] == [other <= position for other in range(3)]
        assert made.in_flight == 1


async def test_a_request_that_comes_back_goes_first() -> None:
    made = gate()
    first, again = await waiting(made), await waiting(made, again=True)
    order: list[str] = []
    first.add_done_callback(lambda _: order.append("first"))
    again.add_done_callback(lambda _: order.append("again"))
    made.open(ADDRESS)
    await asyncio.gather(first, again)
    assert order == ["again", "first"]


@pytest.mark.parametrize("limits", [HoldLimits(requests=1), HoldLimits(body_bytes=15)], ids=["count", "bytes"])
async def test_beyond_the_bound_requests_are_refused_with_503(limits: HoldLimits) -> None:
    made = gate(limits=limits)
    held = await waiting(made, 10)
    with pytest.raises(Refused) as caught:
        await made.enter(10, later())
    assert (caught.value.status, caught.value.retry_after) == (503, 1.0)
    held.cancel()


async def test_waiting_ends_with_504_at_its_due_time() -> None:
    made = gate()
    with pytest.raises(Refused) as caught:
        await made.enter(10, later(0.01))
    assert caught.value.status == 504
    assert not made.busy


async def test_a_cancelled_request_leaves_the_queue() -> None:
    made = gate()
    task = await waiting(made, 10)
    task.cancel()
    await asyncio.wait([task])
    assert not made.busy
    made.open(ADDRESS)
    assert made.in_flight == 0


async def test_a_grant_to_a_request_cancelled_in_the_same_turn_goes_to_the_next() -> None:
    made = gate(concurrency=1)
    first, second = await waiting(made), await waiting(made)
    made.open(ADDRESS)
    first.cancel()
    assert await second == ADDRESS
    assert made.in_flight == 1


async def test_a_cancel_just_before_the_grant_loses_nothing() -> None:
    made = gate(concurrency=1)
    first, second = await waiting(made), await waiting(made)
    first.cancel()
    made.open(ADDRESS)
    assert await second == ADDRESS
    assert (made.in_flight, made.waiting) == (1, 0)


async def test_a_refusal_reaches_those_who_wait_and_those_who_come() -> None:
    made = gate()
    task = await waiting(made)
    made.refuse(lambda: Refused(503, "broken"))
    with pytest.raises(Refused, match="broken"):
        await task
    with pytest.raises(Refused, match="broken"):
        await made.enter(0, later())
    made.accept()
    assert not (await waiting(made)).done()


async def test_a_doubted_address_gets_nothing_until_it_is_open_again() -> None:
    made = gate()
    made.open(ADDRESS)
    await made.enter(0, later())
    made.doubt(Address(http_port=2))
    assert made.address == ADDRESS
    made.doubt(ADDRESS)
    assert made.address is None
    assert made.doubted.is_set()
    task = await waiting(made)
    made.open(ADDRESS)
    assert await task == ADDRESS
    assert not made.doubted.is_set()
