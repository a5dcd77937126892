"""What every ledger does, held to by each of them."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Denial, Entry, Grant, Ledger, Level, Total, Width

DEADLINE = 20.0
LONG = 600.0  # a lease that does not end during a test
END = 10**10  # after every moment of these tests
WIDTHS: tuple[Width, ...] = (60, 3600, 86400)


def held(amount: int = 1, limit: int = 10, counter: str = "in-flight") -> Claim:
    return Claim(counter, amount, limit, "held")


def rolling(amount: int = 1, limit: int = 10, seconds: int = 3600, counter: str = "requests") -> Claim:
    return Claim(counter, amount, limit, "rolling", seconds=seconds)


def period(amount: int = 1, limit: int = 10, ends: float | None = None, counter: str = "money:today") -> Claim:
    return Claim(counter, amount, limit, "period", ends=time.time() + 3600 if ends is None else ends)


KINDS = pytest.mark.parametrize("claim", [held, rolling, period])


async def used(ledger: Ledger, *claims: Claim) -> list[int]:
    """What counters hold, asked by a claim of nothing."""
    nothing = [Claim(claim.counter, 0, claim.limit, claim.kind, claim.seconds, claim.ends, False) for claim in claims]
    result = await ledger.reserve("tenant", "probe", nothing, lease=LONG)
    return [level.used for level in result.levels]


async def taken(ledger: Ledger, call_id: str, claims: Sequence[Claim], lease: float = LONG) -> bool:
    return isinstance(await ledger.reserve("tenant", call_id, claims, lease=lease), Grant)


@KINDS
async def test_what_fits_is_granted_and_what_does_not_is_denied(ledger: Ledger, claim: Callable[[int], Claim]) -> None:
    assert await ledger.reserve("tenant", "one", [claim(4)], lease=LONG) == Grant((Level(4, 0.0),))
    denial = await ledger.reserve("tenant", "two", [claim(7)], lease=LONG)

    assert isinstance(denial, Denial)
    assert denial.levels[0].used == 4
    assert await taken(ledger, "three", [claim(6)])


async def test_all_claims_are_taken_or_none(ledger: Ledger) -> None:
    await ledger.reserve("tenant", "one", [held(1), rolling(9)], lease=LONG)
    denial = await ledger.reserve("tenant", "two", [held(1), rolling(2), period(3)], lease=LONG)

    assert isinstance(denial, Denial)
    assert denial.denied == 1
    assert [level.used for level in denial.levels] == [1, 9, 0]
    assert await used(ledger, held(), rolling(), period()) == [1, 9, 0]


async def test_of_several_denials_the_one_that_is_free_last_is_named(ledger: Ledger) -> None:
    soon, late = rolling(10, seconds=60), period(10, ends=time.time() + 3000)
    await ledger.reserve("tenant", "one", [held(10), soon, late], lease=LONG)

    denial = await ledger.reserve("tenant", "two", [held(1), late, soon], lease=LONG)
    assert isinstance(denial, Denial)
    assert denial.denied == 1
    assert denial.levels[0].free_in == 0
    assert 2900 < denial.levels[1].free_in <= 3000
    assert 0 < denial.levels[2].free_in <= 61


async def test_a_claim_that_is_not_enforced_is_counted_and_never_denied(ledger: Ledger) -> None:
    shadow = Claim("requests", 20, 10, "rolling", seconds=3600, enforced=False)
    result = await ledger.reserve("tenant", "one", [shadow], lease=LONG)

    assert isinstance(result, Grant)
    assert result.levels[0].used == 20
    assert result.levels[0].free_in > 0
    assert not await taken(ledger, "two", [rolling(1)])


async def test_counters_of_other_owners_kinds_and_windows_are_others(ledger: Ledger) -> None:
    same = [held(1, counter="x"), rolling(2, counter="x"), rolling(3, seconds=60, counter="x"), period(4, counter="x")]
    await ledger.reserve("tenant", "one", same, lease=LONG)
    await ledger.reserve("other", "one", [held(5, counter="x")], lease=LONG)

    assert await used(ledger, *same) == [1, 2, 3, 4]


async def test_any_text_can_be_an_owner_and_a_counter(ledger: Ledger) -> None:
    for owner in ("späße:{ключ}", "a b", "%7B", "*", "[a-z]?"):
        claim = held(10, counter=f"{owner}:1:ü")
        assert isinstance(await ledger.reserve(owner, "one", [claim], lease=LONG), Grant)
        assert isinstance(await ledger.reserve(owner, "two", [claim], lease=LONG), Denial)
        await ledger.settle(owner, "one", [claim], Entry(b"row", owner, (1,)))
    assert await ledger.owners() == sorted(("späße:{ключ}", "a b", "%7B", "*", "[a-z]?"))


@pytest.mark.parametrize(
    ("claims", "lease"),
    [
        ([held(-1)], 1.0),
        ([held(2**53)], 1.0),
        ([rolling(1, seconds=0)], 1.0),
        ([held(1), held(2)], 1.0),
        ([held(1, counter=str(n)) for n in range(33)], 1.0),
        ([held(1)], 0.0),
        ([held(1)], 100_000.0),
    ],
)
async def test_claims_that_mean_nothing_are_rejected(ledger: Ledger, claims: list[Claim], lease: float) -> None:
    with pytest.raises(ValueError, match=r"amount|window|claims|lease"):
        await ledger.reserve("tenant", "one", claims, lease=lease)


async def test_large_amounts_are_counted_exactly(ledger: Ledger) -> None:
    most = 2**53 - 1
    claims = [rolling(most - 1, most), period(most - 1, most), held(most - 1, most)]
    await ledger.reserve("tenant", "one", claims, lease=LONG)

    assert await used(ledger, *claims) == [most - 1] * 3
    assert await taken(ledger, "two", [rolling(1, most), period(1, most), held(1, most)])
    assert not await taken(ledger, "three", [held(1, most)])


async def test_settling_puts_the_real_amounts_in_place_of_the_reserved(ledger: Ledger) -> None:
    await ledger.reserve("tenant", "one", [held(1), rolling(8), period(8)], lease=LONG)
    levels = await ledger.settle("tenant", "one", [held(1), rolling(3), period(12)], None)

    assert levels is not None
    assert [level.used for level in levels] == [0, 3, 12]
    assert levels[2].free_in > 3000
    assert await used(ledger, held(), rolling(), period()) == [0, 3, 12]


async def test_what_was_reserved_and_is_not_settled_is_given_back(ledger: Ledger) -> None:
    await ledger.reserve("tenant", "one", [held(1), rolling(8), period(8)], lease=LONG)
    await ledger.settle("tenant", "one", [], None)

    assert await used(ledger, held(), rolling(), period()) == [0, 0, 0]


async def test_settling_without_a_reservation_charges(ledger: Ledger) -> None:
    levels = await ledger.settle("tenant", "one", [held(1), rolling(3), period(4)], None)

    assert levels is not None
    assert [level.used for level in levels] == [0, 3, 4]


async def test_a_call_is_settled_once(ledger: Ledger) -> None:
    await ledger.reserve("tenant", "one", [rolling(8)], lease=LONG)
    entry = Entry(b"row", "", (1,))

    assert await ledger.settle("tenant", "one", [rolling(3)], entry) is not None
    assert await ledger.settle("tenant", "one", [rolling(4)], entry) is None
    assert await used(ledger, rolling()) == [3]
    assert len(await ledger.rows("tenant", since=0, until=END)) == 1
    assert await ledger.settle("other", "one", [], entry) == ()


async def test_reserving_again_takes_nothing_more(ledger: Ledger) -> None:
    assert await taken(ledger, "one", [held(6), rolling(6)])
    assert await taken(ledger, "one", [held(6), rolling(6)])

    assert await used(ledger, held(), rolling()) == [6, 6]


@KINDS
async def test_a_lease_that_ends_gives_everything_back(ledger: Ledger, claim: Callable[[int], Claim]) -> None:
    await ledger.reserve("tenant", "one", [claim(10)], lease=0.05)
    end = time.monotonic() + DEADLINE

    while not await taken(ledger, "two", [claim(1)]):
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    assert await used(ledger, claim(0)) == [1]


async def test_a_call_whose_lease_has_ended_is_charged_all_the_same(ledger: Ledger) -> None:
    await ledger.reserve("tenant", "one", [held(1), rolling(8)], lease=0.05)
    await until_used(ledger, [0, 0], held(), rolling())

    levels = await ledger.settle("tenant", "one", [held(1), rolling(5)], Entry(b"row", "", (1,)))
    assert levels is not None
    assert [level.used for level in levels] == [0, 5]


async def test_a_renewed_reservation_outlives_its_first_lease(ledger: Ledger) -> None:
    await ledger.reserve("tenant", "clock", [held(1, counter="clock")], lease=2)
    await ledger.reserve("tenant", "one", [held(1)], lease=2)
    await ledger.renew("tenant", ["one", "unknown"], lease=LONG)
    await until_used(ledger, [0], held(counter="clock"))

    assert await used(ledger, held()) == [1]


async def test_a_reservation_that_has_ended_stays_so(ledger: Ledger) -> None:
    await ledger.reserve("tenant", "one", [held(1)], lease=0.05)
    await until_used(ledger, [0], held())
    await ledger.renew("tenant", ["one"], lease=LONG)

    assert await used(ledger, held()) == [0]


async def until_used(ledger: Ledger, amounts: list[int], *claims: Claim) -> None:
    end = time.monotonic() + DEADLINE
    while await used(ledger, *claims) != amounts:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_no_window_holds_more_than_the_limit_and_it_is_free_when_it_says(ledger: Ledger) -> None:
    granted: list[tuple[float, float]] = []
    claim, end = rolling(1, 10, seconds=1), time.monotonic() + 60
    while len(granted) < 25:
        assert time.monotonic() < end
        before = time.time()
        result = await ledger.reserve("tenant", str(len(granted)), [claim], lease=LONG)
        if isinstance(result, Grant):
            granted.append((before, time.time()))
        else:
            assert 0 < result.levels[0].free_in <= 1 + 1 / 60
            await asyncio.sleep(result.levels[0].free_in)

    for first, last in zip(granted, granted[10:], strict=False):
        assert last[1] - first[0] >= 1


async def test_a_period_that_is_over_holds_nothing(ledger: Ledger) -> None:
    claim = period(10, ends=time.time() + 0.1)
    assert await taken(ledger, "one", [claim])
    end = time.monotonic() + DEADLINE

    while not await taken(ledger, "two", [claim]):
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_entries_add_up_to_totals_of_each_width(ledger: Ledger) -> None:
    before = time.time()
    for number in range(3):
        await ledger.settle("tenant", f"a{number}", [], Entry(b"row", "model=a", (number, 10, 0)))
    await ledger.settle("tenant", "b", [], Entry(b"row", "model=b", (7,)))
    await ledger.settle("tenant", "none", [], None)
    await ledger.settle("other", "b", [], Entry(b"row", "model=b", (7,)))
    after = time.time()

    for width in WIDTHS:
        totals = await ledger.totals("tenant", since=0, until=END, width=width)
        assert {total.start for total in totals} <= {int(moment // width * width) for moment in (before, after)}
        sums: dict[str, list[int]] = {}
        for total in totals:
            old = sums.setdefault(total.dimensions, [0] * len(total.amounts))
            sums[total.dimensions] = [one + two for one, two in zip(old, total.amounts, strict=True)]
        assert sums == {"model=a": [3, 30, 0], "model=b": [7]}


async def test_totals_are_of_the_range_that_is_asked_for(ledger: Ledger) -> None:
    await ledger.settle("tenant", "one", [], Entry(b"row", "", (1,)))
    (total,) = await ledger.totals("tenant", since=0, until=END, width=86400)

    assert await ledger.totals("tenant", since=total.start, until=total.start + 1, width=86400) == [total]
    assert await ledger.totals("tenant", since=total.start + 1, until=END, width=86400) == []
    assert await ledger.totals("tenant", since=0, until=total.start, width=86400) == []
    assert await ledger.totals("nobody", since=0, until=END, width=86400) == []
    assert total == Total(total.start, "", (1,))


async def test_rows_come_in_the_order_of_settling_page_by_page(ledger: Ledger) -> None:
    for number in range(25):
        await ledger.settle("tenant", str(number), [], Entry(bytes([number, 0, 255]), "", (1,)))
    await ledger.settle("other", "x", [], Entry(b"other", "", (1,)))

    found, after = [], ""
    while page := await ledger.rows("tenant", since=0, until=END, after=after, count=10):
        assert len(page) <= 10
        found += [row for _, row in page]
        after = page[-1][0]
    assert found == [bytes([number, 0, 255]) for number in range(25)]
    assert await ledger.rows("tenant", since=0, until=1) == []
    assert await ledger.rows("tenant", since=2**33, until=2**34) == []


async def test_owners_are_those_with_usage(ledger: Ledger) -> None:
    await ledger.reserve("c", "one", [held(1)], lease=LONG)
    await ledger.settle("c", "one", [held(1)], None)
    for owner in ("b", "a", "b"):
        await ledger.settle(owner, f"two-{owner}", [], Entry(b"row", "", (1,)))

    assert await ledger.owners() == ["a", "b"]


async def test_pruning_forgets_what_is_older_and_only_that(ledger: Ledger) -> None:
    await ledger.settle("tenant", "one", [rolling(3)], Entry(b"row", "", (1,)))
    await ledger.prune(int(time.time()) - 86400)
    assert len(await ledger.rows("tenant", since=0, until=END)) == 1
    assert len(await ledger.totals("tenant", since=0, until=END, width=60)) == 1

    await ledger.prune(int(time.time()) + 2 * 86400)
    assert await ledger.rows("tenant", since=0, until=END) == []
    for width in WIDTHS:
        assert await ledger.totals("tenant", since=0, until=END, width=width) == []
    assert await ledger.owners() == []
    assert await used(ledger, rolling()) == [3]


async def test_many_at_once_get_exactly_the_limit(ledger: Ledger, url: str) -> None:
    other = open_ledger(url)
    claims = [held(1, 30), rolling(1, 40)]
    results = await asyncio.gather(
        *(chosen.reserve("tenant", f"{n}", claims, lease=LONG) for n in range(100) for chosen in (ledger, other))
    )
    await other.aclose()

    assert await used(ledger, *claims) == [30, 30]
    assert len({n // 2 for n, result in enumerate(results) if isinstance(result, Grant)}) == 30


async def test_a_caller_that_gives_up_does_no_harm(ledger: Ledger) -> None:
    task = asyncio.create_task(ledger.reserve("tenant", "one", [held(1)], lease=LONG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ledger.settle("tenant", "one", [held(1)], None)

    assert await used(ledger, held()) == [0]


async def test_a_closed_ledger_says_so_and_may_be_closed_again(ledger: Ledger) -> None:
    await ledger.owners()
    await ledger.aclose()
    await ledger.aclose()

    with pytest.raises(StoreError, match="closed"):
        await ledger.settle("tenant", "one", [], None)
    with pytest.raises(StoreError, match="closed"):
        await ledger.reserve("tenant", "one", [held()], lease=LONG)
    with pytest.raises(StoreError, match="closed"):
        await ledger.owners()
