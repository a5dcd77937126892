"""Properties of the fair queue, for any tenants, weights, lengths of calls and times."""

import itertools
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.gateway.admission.fair_queue import FairQueue, Priority
from tests.switchyard.gateway.admission.simulation import Platform, Waiting

TENANTS = "abcde"
LENGTHS = st.sampled_from([0.0, 0.001, 0.1, 1.0, 30.0])
EVENTS = st.one_of(
    st.tuples(st.just("arrive"), st.sampled_from(TENANTS), LENGTHS),
    st.tuples(st.just("end"), st.none(), st.none()),
    st.tuples(st.just("cancel"), st.integers(0, 20), st.none()),
    st.tuples(st.just("resize"), st.integers(1, 6), st.none()),
    st.tuples(st.just("advance"), st.floats(0, 2), st.none()),
)


@given(places=st.integers(1, 5), events=st.lists(EVENTS, max_size=80), weights=st.lists(st.integers(1, 9), min_size=5))
@settings(max_examples=200, deadline=None)
def test_no_place_is_used_twice_or_left_free_and_every_call_is_served_once(
    places: int, events: list[tuple[str, object, object]], weights: list[int]
) -> None:
    # ``Platform`` checks after every event: places, work conservation, first in, first out within a tenant.
    platform = Platform(places, weights=dict(zip(TENANTS, weights, strict=False)))
    asked: list[Waiting] = []
    cancelled: set[Waiting] = set()
    for kind, what, seconds in events:
        waiting = [call for calls in platform.waiting.values() for call in calls]
        if kind == "arrive":
            asked.append(platform.arrive(str(what), float(str(seconds))))
        elif kind == "end" and platform.running:
            platform.end_next()
        elif kind == "cancel" and waiting:
            call = waiting[int(str(what)) % len(waiting)]
            cancelled.add(call)
            platform.cancel(call)
        elif kind == "resize":
            platform.resize(int(str(what)))
        elif kind == "advance":
            platform.run(platform.now + float(str(what)))
    while platform.running:
        platform.end_next()
    assert Counter(platform.granted) == Counter(set(asked) - cancelled)
    assert (platform.queue.in_flight, platform.queue.waiting) == (0, 0)


@given(
    places=st.integers(1, 8),
    weights=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    lengths=st.lists(st.sampled_from([0.05, 0.2, 0.5, 1.0]), min_size=4, max_size=12),
    interval=st.tuples(st.floats(0, 50), st.floats(1, 60)),
)
@settings(max_examples=60, deadline=None)
def test_tenants_that_wait_all_the_time_get_place_seconds_by_weight(
    places: int, weights: list[int], lengths: list[float], interval: tuple[float, float]
) -> None:
    """The bound: who is granted a place had no more than others and a ``horizon`` for each place that they hold."""
    platform = Platform(places, horizon=1.0, weights=dict(zip(TENANTS, weights, strict=False)))
    # Each tenant has lengths of its own, so that equal numbers of calls would be unequal shares.
    each = {tenant: itertools.cycle(lengths[at:] + lengths[:at]) for at, tenant in enumerate(platform.weights)}
    each["a"] = itertools.cycle([max(lengths)])
    platform.on_granted = lambda call: refill.append(call.tenant)
    refill: list[str] = []
    for tenant in platform.weights:
        for _ in range(places + 2):
            platform.arrive(tenant, next(each[tenant]))

    def run(until: float) -> None:
        while platform.running[0][0] <= until:
            platform.end_next()
            while refill:
                tenant = refill.pop()
                platform.arrive(tenant, next(each[tenant]))
        platform.advance(until)

    run(interval[0])
    before = dict(platform.place_seconds)
    run(sum(interval))
    shares = {
        tenant: (platform.place_seconds[tenant] - before.get(tenant, 0.0)) / weight
        for tenant, weight in platform.weights.items()
    }
    bound = 2 * places * (platform.horizon + max(lengths)) / min(weights)
    assert max(shares.values()) - min(shares.values()) <= bound


@given(
    places=st.integers(1, 5),
    floods=st.lists(st.tuples(st.integers(1, 9), LENGTHS), min_size=1, max_size=4),
    ends=st.integers(0, 60),
)
@settings(max_examples=100, deadline=None)
def test_a_tenant_that_begins_to_wait_is_served_after_one_call_of_each_other_at_most(
    places: int, floods: list[tuple[int, float]], ends: int
) -> None:
    weights = {tenant: weight for tenant, (weight, _) in zip(TENANTS, floods, strict=False)}
    platform = Platform(places, weights=weights)
    for _ in range(100):
        for tenant, (_, seconds) in zip(TENANTS, floods, strict=False):
            platform.arrive(tenant, seconds)
    for _ in range(ends):
        platform.end_next()

    late = platform.arrive("late", 1.0)
    before = len(platform.granted)
    while late not in platform.granted:
        platform.end_next()
    assert len(platform.granted) - before <= len(floods) + 1


def test_a_tenant_with_long_calls_gets_the_same_place_seconds_and_not_the_same_number_of_calls() -> None:
    platform = Platform(10)
    for _ in range(300):
        platform.arrive("long", 10.0)
    for _ in range(5000):
        platform.arrive("short", 0.1)
    platform.run(100.0)
    assert 0.9 < platform.place_seconds["short"] / platform.place_seconds["long"] < 1.1


def test_being_idle_earns_nothing() -> None:
    platform = Platform(1)
    for _ in range(100):
        platform.arrive("busy", 1.0)
        platform.arrive("other", 1.0)
    platform.run(20.0)
    for _ in range(100):
        platform.arrive("late", 1.0)
    platform.run(50.0)
    # 30 seconds of one place, for three: not the 20 seconds that it had missed.
    assert 9 <= platform.place_seconds["late"] <= 11


def test_what_a_tenant_used_is_kept_while_it_has_no_call() -> None:
    platform = Platform(1, weights={"heavy": 3})
    for _ in range(200):
        platform.arrive("heavy", 1.0)
    for _ in range(100):
        if not platform.waiting["single"] and all(call.tenant != "single" for _, _, call in platform.running):
            platform.arrive("single", 1.0)
        platform.end_next()
    assert 20 <= platform.place_seconds["single"] <= 30


def test_the_past_is_forgotten_when_nobody_waits() -> None:
    platform = Platform(1)
    for _ in range(20):
        platform.arrive("a", 1.0)
    platform.run(19.5)
    assert platform.queue.waiting == 0
    for _ in range(4):
        platform.arrive("b", 1.0)
        platform.arrive("a", 1.0)
    platform.run(40.0)
    assert [call.tenant for call in platform.granted[20:]] == ["b", "a"] * 4


def test_calls_of_no_length_are_shared_by_weight_too() -> None:
    platform = Platform(1, weights={"a": 3})
    for _ in range(100):
        platform.arrive("a", 0.0)
        platform.arrive("b", 0.0)
    for _ in range(40):
        platform.end_next()
    assert 28 <= sum(call.tenant == "a" for call in platform.granted[:40]) <= 32


@given(
    places=st.integers(1, 3),
    calls=st.lists(st.tuples(st.sampled_from(TENANTS), st.sampled_from(Priority)), max_size=40),
    cancelled=st.sets(st.integers(0, 39)),
)
@settings(max_examples=200, deadline=None)
def test_priorities_order_a_tenants_calls_and_flex_comes_after_all_others(
    places: int, calls: list[tuple[str, Priority]], cancelled: set[int]
) -> None:
    queue: FairQueue[int] = FairQueue(places, lambda: 0.0)
    for _ in range(places):
        assert queue.try_enter("holder")
    for number, (tenant, priority) in enumerate(calls):
        queue.wait(tenant, 1, number, priority)
    left = [number for number in range(len(calls)) if number not in cancelled]
    for number in cancelled & set(range(len(calls))):
        queue.cancel(calls[number][0], number)
    assert queue.before(Priority.FLEX) == queue.waiting == len(left)
    served: list[int] = []
    holders = ["holder"] * places
    while holders:
        queue.leave(holders.pop(0))
        while (turn := queue.next()) is not None:
            served.append(turn)
            holders.append(calls[turn][0])
    assert sorted(served) == left
    for tenant in TENANTS:
        own = [number for number in served if calls[number][0] == tenant]
        assert own == sorted(own, key=lambda number: (calls[number][1], number)), "by priority, then by arrival"
    flexible = [calls[number][1] == Priority.FLEX for number in served]
    assert flexible == sorted(flexible), "after everybody's other calls"
