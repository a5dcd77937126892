"""Waiting for a place: who is rejected, and what becomes of a place when a waiting call ends."""

import asyncio

import pytest

from switchyard.gateway.admission.fair_queue import Priority
from switchyard.gateway.admission.queues import Queues, WaitingLimits
from switchyard.http.api_errors import ApiError
from tests.switchyard.gateway.conftest import until

SERVER = "http://model"


class Bench:
    """Queues of one server with ``places``, and the tasks that wait in them."""

    def __init__(self, places: int = 1, *, calls: int = 10, body_bytes: int = 100, seconds: float = 60.0) -> None:
        self.places: int | None = places
        limits = WaitingLimits(calls=calls, body_bytes=body_bytes, seconds=seconds)
        self.queues = Queues(limits, self._places_of)
        self.readable = True

    def _places_of(self, model: str) -> int | None:
        if not self.readable:
            raise ApiError("catalog_unreadable", "the list of models cannot be read; try again")
        return self.places

    def try_acquire(self, tenant: str) -> bool:
        assert self.places is not None
        return self.queues.try_acquire(SERVER, self.places, "chat", tenant)

    async def waiting(
        self, tenant: str, size: int = 0, weight: float = 1, priority: Priority = Priority.DEFAULT
    ) -> asyncio.Task[None]:
        """A call that waits."""
        assert not self.try_acquire(tenant)
        task = asyncio.ensure_future(self.queues.acquire(SERVER, "chat", tenant, weight, size, priority))
        await asyncio.sleep(0)
        return task

    def release(self, tenant: str) -> None:
        self.queues.release(SERVER, tenant)


async def code_of(task: asyncio.Task[None]) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        await asyncio.wait_for(task, 30)
    assert caught.value.retry_after == 1
    return caught.value.status, caught.value.message


async def test_a_place_goes_to_whoever_is_next_when_its_call_ends() -> None:
    bench = Bench(places=2)
    assert bench.try_acquire("acme")
    assert bench.try_acquire("acme")
    first, second = await bench.waiting("acme"), await bench.waiting("acme")
    other = await bench.waiting("globex")
    order = []
    for tenant, task in (("acme", other), ("globex", first), ("acme", second)):
        bench.release(tenant)
        await asyncio.wait_for(task, 30)
        order.append([one.done() for one in (first, second, other)])
    assert order == [[False, False, True], [True, False, True], [True, True, True]]
    for _ in range(2):
        bench.release("acme")
    assert bench.queues._queues == {}, "a queue that is empty is not kept"


async def test_a_tenant_that_fills_half_is_429_and_a_full_gateway_503() -> None:
    bench = Bench(calls=4)
    assert bench.try_acquire("acme")
    tasks = [await bench.waiting("acme") for _ in range(2)]
    status, sentence = await code_of(await bench.waiting("acme"))
    assert (status, "tenant acme has 2 requests with 0 bytes waiting" in sentence) == (429, True), sentence
    tasks += [await bench.waiting("globex"), await bench.waiting("initech")]
    status, sentence = await code_of(await bench.waiting("hooli"))
    assert (status, "4 requests of all tenants are waiting; try again" in sentence) == (503, True), sentence
    bench.places = None
    bench.release("acme")
    await asyncio.wait_for(asyncio.gather(*tasks), 30)


async def test_bodies_are_bounded_by_their_bytes() -> None:
    bench = Bench(body_bytes=100)
    assert bench.try_acquire("acme")
    assert not (await bench.waiting("acme", 60)).done()
    assert (await code_of(await bench.waiting("acme", 30)))[0] == 429
    assert (await code_of(await bench.waiting("globex", 50)))[0] == 503
    assert not (await bench.waiting("globex", 40)).done()


async def test_a_call_that_waits_too_long_is_503_and_frees_what_it_held() -> None:
    bench = Bench(calls=1, seconds=0.01)
    assert bench.try_acquire("acme")
    for _ in range(2):
        status, sentence = await code_of(await bench.waiting("acme"))
        assert (status, sentence) == (503, "model chat had no place for this request within 0.01 s; try again")
    bench.release("acme")
    assert bench.try_acquire("acme")


@pytest.mark.parametrize("order", ["while it waits", "before it gets its place", "after it got its place"])
async def test_a_cancelled_call_leaves_its_place_to_the_next(order: str) -> None:
    bench = Bench()
    assert bench.try_acquire("acme")
    cancelled, following = await bench.waiting("acme"), await bench.waiting("acme")
    if order == "after it got its place":  # in the same turn of the loop, as the next one
        bench.release("acme")
        cancelled.cancel()
    else:
        cancelled.cancel()
        if order == "while it waits":
            await asyncio.wait([cancelled])
        bench.release("acme")
    await asyncio.wait_for(following, 30)
    assert cancelled.cancelled()
    bench.release("acme")
    assert bench.queues._queues == {}


async def test_all_calls_of_a_tenant_may_end_at_once() -> None:
    bench = Bench(places=2, calls=100)
    running = [bench.try_acquire("acme") for _ in range(2)]
    tasks = [await bench.waiting("acme") for _ in range(20)]
    for task in tasks:
        task.cancel()
    for _ in running:
        bench.release("acme")
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert bench.queues._queues == {}


async def test_a_drain_rejects_who_waits_and_who_would_and_no_call_that_has_a_place() -> None:
    bench = Bench(places=2)
    assert bench.try_acquire("acme")
    assert bench.try_acquire("globex")
    tasks = [await bench.waiting(tenant) for tenant in ("acme", "globex")]
    bench.queues.drain()
    bench.release("acme")  # in the same turn of the loop: its place is for nobody who waits
    tasks.append(asyncio.ensure_future(bench.queues.acquire(SERVER, "chat", "acme", 1, 0)))
    for task in tasks:
        assert await code_of(task) == (503, "model chat is full, and this gateway is stopping; try again")
    assert bench.try_acquire("acme")
    for tenant in ("acme", "globex"):
        bench.release(tenant)
    assert bench.queues._queues == {}


async def test_a_catalog_that_cannot_be_read_changes_nothing() -> None:
    bench = Bench()
    assert bench.try_acquire("acme")
    first, second = await bench.waiting("acme"), await bench.waiting("acme")
    bench.readable = False
    bench.release("acme")
    await asyncio.wait_for(first, 30)
    assert not second.done()
    bench.release("acme")
    await asyncio.wait_for(second, 30)


async def test_a_place_more_is_given_as_soon_as_it_is_known() -> None:
    bench = Bench()
    assert bench.try_acquire("acme")
    tasks = [await bench.waiting("acme") for _ in range(4)]
    bench.places = 3
    tasks.append(await bench.waiting("acme"))  # a call that arrives tells of the catalog's new number
    await until(lambda: sum(task.done() for task in tasks) == 2)
    bench.places = 5
    bench.release("acme")  # and one that ends
    await until(lambda: all(task.done() for task in tasks))


async def test_the_wait_that_is_expected_follows_from_what_calls_took_and_what_is_before() -> None:
    bench = Bench(places=2)
    wait = bench.queues.expected_wait
    assert wait(SERVER, Priority.DEFAULT) == 0, "nobody has asked yet"
    assert bench.try_acquire("acme")
    assert bench.try_acquire("acme")
    assert wait(SERVER, Priority.DEFAULT) == 0, "no call has ended"
    tasks = [await bench.waiting("acme") for _ in range(3)]
    bench.queues.release(SERVER, "acme", 4.0)
    assert wait(SERVER, Priority.DEFAULT) == pytest.approx((2 + 1) * 4.0 / 2)
    tasks.append(await bench.waiting("globex", priority=Priority.FLEX))
    assert wait(SERVER, Priority.DEFAULT) == pytest.approx(6.0), "what is flexible comes later"
    assert wait(SERVER, Priority.FLEX) == pytest.approx(8.0)
    assert wait(SERVER, Priority.PRIORITY) == pytest.approx(2.0)
    bench.queues.release(SERVER, "acme", 14.0)
    assert wait(SERVER, Priority.PRIORITY) == pytest.approx(5.0 / 2), "a tenth of what is new"
    bench.places = None
    bench.release("acme")
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
