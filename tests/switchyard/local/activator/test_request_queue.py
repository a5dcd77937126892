import asyncio
import time
from collections.abc import Callable

import pytest

from switchyard.http.api_errors import ApiError
from switchyard.local.activator.request_queue import QueueLimits, RequestQueue
from switchyard.local.plan.workloads import Address

ADDRESS = Address(http_port=1)


class Demand:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def queue(*, concurrency: int = 0, limits: QueueLimits | None = None, demand: Demand | None = None) -> RequestQueue:
    return RequestQueue("chat", concurrency=concurrency, limits=limits or QueueLimits(), demand=demand or Demand())


def later(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def waiting(made: RequestQueue, size: int = 0, *, retry: bool = False) -> "asyncio.Task[Address]":
    task = asyncio.create_task(made.acquire(size, later(), retry=retry))
    await asyncio.sleep(0)
    return task


async def test_a_request_waits_until_a_replica_is_ready() -> None:
    demand = Demand()
    made = queue(demand=demand)
    task = await waiting(made)
    assert (made.waiting, made.busy, demand.times) == (1, True, 1)
    made.open(ADDRESS)
    assert await task == ADDRESS
    assert (made.waiting, made.in_flight) == (0, 1)


async def test_the_oldest_request_counts_from_its_arrival_also_where_another_went_before_it() -> None:
    made, clock = queue(concurrency=1), time.monotonic
    assert made.oldest_seconds() == 0
    oldest = await waiting(made)
    came = clock()
    again = await waiting(made, retry=True)
    since = clock() - came
    assert await asyncio.to_thread(made.oldest_seconds) >= since  # a page of metrics is written in a thread
    made.open(ADDRESS)
    await again
    assert made.oldest_seconds() > 0
    made.release()
    await oldest
    assert made.oldest_seconds() == 0


async def test_those_who_wait_go_in_order_of_arrival() -> None:
    made = queue(concurrency=1)
    made.open(ADDRESS)
    await made.acquire(0, later())
    tasks = [await waiting(made) for _ in range(3)]
    for position in range(3):
        made.release()
        await asyncio.wait(tasks[position : position + 1])
        assert [task.done() for task in tasks] == [other <= position for other in range(3)]
        assert made.in_flight == 1


async def test_a_request_that_comes_back_goes_first() -> None:
    made = queue()
    first, again = await waiting(made), await waiting(made, retry=True)
    order: list[str] = []
    first.add_done_callback(lambda _: order.append("first"))
    again.add_done_callback(lambda _: order.append("again"))
    made.open(ADDRESS)
    await asyncio.gather(first, again)
    assert order == ["again", "first"]


@pytest.mark.parametrize("limits", [QueueLimits(requests=1), QueueLimits(body_bytes=15)], ids=["count", "bytes"])
async def test_beyond_the_bound_requests_are_rejected_with_503(limits: QueueLimits) -> None:
    made = queue(limits=limits)
    held = await waiting(made, 10)
    with pytest.raises(ApiError) as caught:
        await made.acquire(10, later())
    assert (caught.value.status, caught.value.retry_after) == (503, 1.0)
    held.cancel()


async def test_a_request_that_comes_back_waits_in_a_full_queue_too() -> None:
    made = queue(limits=QueueLimits(requests=1))
    made.open(ADDRESS)
    await made.acquire(10, later())
    made.suspect(ADDRESS)
    other = await waiting(made)
    made.release()
    again = await waiting(made, 10, retry=True)
    made.open(ADDRESS)
    assert [await again, await other] == [ADDRESS, ADDRESS]


async def test_waiting_ends_with_504_at_its_due_time() -> None:
    made = queue()
    with pytest.raises(ApiError) as caught:
        await made.acquire(10, later(0.01))
    assert caught.value.status == 504
    assert not made.busy


async def test_a_cancelled_request_leaves_the_queue() -> None:
    made = queue()
    task = await waiting(made, 10)
    task.cancel()
    await asyncio.wait([task])
    assert not made.busy
    made.open(ADDRESS)
    assert made.in_flight == 0


async def test_a_grant_to_a_request_cancelled_in_the_same_turn_goes_to_the_next() -> None:
    made = queue(concurrency=1)
    first, second = await waiting(made), await waiting(made)
    made.open(ADDRESS)
    first.cancel()
    assert await second == ADDRESS
    assert made.in_flight == 1


async def test_a_cancel_just_before_the_grant_loses_nothing() -> None:
    made = queue(concurrency=1)
    first, second = await waiting(made), await waiting(made)
    first.cancel()
    made.open(ADDRESS)
    assert await second == ADDRESS
    assert (made.in_flight, made.waiting) == (1, 0)


async def test_a_rejection_reaches_those_who_wait_and_those_who_come() -> None:
    made = queue()
    task = await waiting(made)
    made.reject(lambda: ApiError("model_failed", "broken"))
    with pytest.raises(ApiError, match="broken"):
        await task
    with pytest.raises(ApiError, match="broken"):
        await made.acquire(0, later())
    made.accept()
    assert not (await waiting(made)).done()


@pytest.mark.parametrize(
    "event",
    [
        lambda made: made.open(ADDRESS),
        lambda made: made.accept(),
        lambda made: made.reject(lambda: ApiError("model_failed", "broken")),
    ],
    ids=["a replica becomes ready", "a pause ends", "a replica fails"],
)
async def test_a_stop_rejects_for_good(event: Callable[[RequestQueue], None]) -> None:
    made = queue()
    task = await waiting(made)
    made.stop(lambda: ApiError("shutting_down", "stopping"))
    with pytest.raises(ApiError, match="stopping"):
        await task
    event(made)
    for retry in (False, True):
        with pytest.raises(ApiError, match="stopping"):
            await made.acquire(0, later(), retry=retry)
    assert made.address is None


async def test_a_drain_rejects_who_waits_and_lets_a_ready_replica_go_on() -> None:
    made = queue(concurrency=1)
    made.open(ADDRESS)
    await made.acquire(0, later())
    tasks = [await waiting(made), await waiting(made)]
    made.drain(lambda: ApiError("shutting_down", "stopping"))
    for task in tasks:
        with pytest.raises(ApiError, match="stopping") as caught:
            await task
        assert (caught.value.status, caught.value.retry_after) == (503, 1)
    with pytest.raises(ApiError, match="stopping"):
        made.check_capacity(10)
    made.release()
    made.check_capacity(10)
    assert await made.acquire(0, later()) == ADDRESS
    made.suspect(ADDRESS)
    for retry in (False, True):
        with pytest.raises(ApiError, match="stopping"):
            await made.acquire(0, later(), retry=retry)


async def test_a_doubted_address_gets_nothing_until_it_is_open_again() -> None:
    made = queue()
    made.open(ADDRESS)
    await made.acquire(0, later())
    made.suspect(Address(http_port=2))
    assert made.address == ADDRESS
    made.suspect(ADDRESS)
    assert made.address is None
    assert made.suspected.is_set()
    task = await waiting(made)
    made.open(ADDRESS)
    assert await task == ADDRESS
    assert not made.suspected.is_set()
