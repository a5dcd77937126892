"""Hours are shared out to the nano-dollar: nothing is lost or added, and nobody pays for more than its time."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.usage.hours.shares import cost, share

HOUR = 3_600_000
MONEY = st.integers(0, 2**53)
TIMES = st.integers(0, 100 * HOUR)
USED = st.dictionaries(st.text("abc", min_size=1, max_size=3), TIMES, max_size=8)


@given(MONEY, TIMES, USED)
def test_shares_and_idle_add_up_to_the_price_of_the_hours(money: int, existed: int, used: dict[str, int]) -> None:
    shared = share(money, existed, used)
    assert sum(shared.shares.values()) + shared.idle == money
    assert min([*shared.shares.values(), shared.idle]) >= 0


@given(MONEY, st.integers(1, 100 * HOUR), USED)
def test_each_share_is_its_part_to_less_than_a_nano_dollar(money: int, existed: int, used: dict[str, int]) -> None:
    shared = share(money, existed, used)
    whole = max(existed, sum(used.values()))
    for name, time in used.items():
        assert abs(shared.shares[name] - Fraction(money * time, whole)) < 1
    assert abs(shared.idle - Fraction(money * max(0, existed - sum(used.values())), whole)) < 1


@given(MONEY, st.integers(1, 100 * HOUR), USED)
def test_nobody_pays_more_than_the_price_of_its_own_time(money: int, existed: int, used: dict[str, int]) -> None:
    shared = share(money, existed, used)
    assert all(shared.shares[name] < Fraction(money * time, existed) + 1 for name, time in used.items())
    assert all(shared.shares[name] == 0 for name, time in used.items() if not time)


@given(MONEY, TIMES, USED)
def test_a_share_does_not_depend_on_the_order_in_which_tenants_are_read(
    money: int, existed: int, used: dict[str, int]
) -> None:
    assert share(money, existed, used) == share(money, existed, dict(reversed(used.items())))


@given(st.dictionaries(st.integers(0, 64 * 10**12), TIMES, max_size=4))
def test_hours_cost_their_price_to_half_a_nano_dollar_for_each_price(existed: dict[int, int]) -> None:
    exact = sum((Fraction(price * time, HOUR) for price, time in existed.items()), Fraction())
    assert abs(cost(existed) - exact) <= Fraction(len(existed), 2)


def test_an_hour_that_one_uses_for_a_quarter_and_another_for_half_is_idle_for_a_quarter() -> None:
    shared = share(1_000_000_000, HOUR, {"acme": HOUR // 4, "globex": HOUR // 2})
    assert shared.shares == {"acme": 250_000_000, "globex": 500_000_000}
    assert (shared.idle, shared.idle_milliseconds) == (250_000_000, HOUR // 4)


def test_calls_side_by_side_share_what_there_is() -> None:
    assert share(10, HOUR, {"acme": 3 * HOUR, "globex": HOUR}).shares == {"acme": 8, "globex": 2}
    assert share(0, 0, {"acme": HOUR}).idle == 0
