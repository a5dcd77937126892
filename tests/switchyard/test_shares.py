"""What one tenant may hold of something that all share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.shares import Shares


def filled(shares: Shares, tenant: str) -> int:
    """Let a tenant take until it is full; return how much it holds."""
    while shares.full(tenant) is None:
        shares.take(tenant)
    return shares.held(tenant)


def test_a_lone_tenant_gets_half_and_further_ones_as_much_as_they_leave() -> None:
    shares = Shares(100)
    assert [filled(shares, tenant) for tenant in "abc"] == [50, 25, 13]
    assert shares.full("a") == "owner"
    shares.give_back("a", 25)
    assert shares.full("a") is None
    assert filled(shares, "b") == 31


@pytest.mark.parametrize("total", [1, 2, 3])
def test_a_tenant_with_nothing_may_take_what_is_free(total: int) -> None:
    shares = Shares(total)
    assert shares.full("a", total) is None
    assert shares.full("a", total + 1) == "platform"
    shares.take("a", total)
    assert (shares.full("a"), shares.full("b"), shares.full(None)) == ("platform",) * 3


def test_whoever_is_no_tenant_may_take_everything() -> None:
    shares = Shares(10)
    for _ in range(10):
        assert shares.full(None) is None
        shares.take(None)
    assert shares.full(None) == "platform"
    shares.give_back(None, 10)
    assert shares.used == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40), st.booleans())), st.integers(1, 100))
def test_never_more_than_all_of_it_and_half_for_one(steps: list[tuple[str, int, bool]], total: int) -> None:
    shares, taken = Shares(total), list[tuple[str, int]]()
    for tenant, amount, back in steps:
        if back and taken:
            shares.give_back(*taken.pop())
        elif shares.full(tenant, amount) is None:
            held = shares.held(tenant)
            shares.take(tenant, amount)
            taken.append((tenant, amount))
            assert not held or 2 * (held + amount) <= total + amount
        assert 0 <= shares.used == sum(amount for _, amount in taken) <= total
        assert all(shares.held(one) == sum(n for who, n in taken if who == one) for one in "abcdef")
