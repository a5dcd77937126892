"""From limits to claims: which apply, of which counter, how much, and until when."""

from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.quota.claims import Amounts, AppliedLimit, AppliedLimits, applied, period
from switchyard.gateway.tenants.directory import Identity
from switchyard.gateway.tenants.limits import Limit, Limits, may_both_match

NOW = datetime(2026, 11, 29, 23, 30, tzinfo=ZoneInfo("UTC")).timestamp()
ESTIMATE = Amounts(input_tokens=70, output_tokens=30, inferences=1, pixels=2_500_000, nano_dollars=40_000)


def identity(*tenant: Limit, team: tuple[Limit, ...] = (), key: tuple[Limit, ...] = (), zone: str = "UTC") -> Identity:
    return Identity("acme", "web", "ci", frozenset(("use",)), (), 1, Limits(zone, tenant, team, key))


def one(limit: Limit, zone: str = "UTC") -> AppliedLimit:
    (found,) = applied(identity(limit, zone=zone), "chat", NOW)
    return found


@pytest.mark.parametrize(
    ("unit", "amount", "most"),
    [
        ("requests", 1, 1000),
        ("tokens", 100, 1000),
        ("input_tokens", 70, 1000),
        ("output_tokens", 30, 1000),
        ("inferences", 1, 1000),
        ("megapixels", 2_500_000, 1_000_000_000),
        ("dollars", 40_000, 1_000_000_000_000),
    ],
)
def test_each_unit_has_its_amount_of_a_call(unit: str, amount: int, most: int) -> None:
    claim = one(Limit(unit, most, "minute")).reserved(ESTIMATE, ESTIMATE)  # type: ignore[arg-type]
    assert (claim.amount, claim.limit, claim.kind, claim.seconds, claim.enforced) == (amount, most, "rolling", 60, True)


def test_requests_in_flight_are_held_and_a_shadow_denies_nothing() -> None:
    claim = one(Limit("in_flight", 8, None, shadow=True)).reserved(ESTIMATE, ESTIMATE)
    assert (claim.amount, claim.limit, claim.kind, claim.enforced) == (1, 8, "held", False)


def test_a_call_counts_for_its_tenant_its_team_its_key_and_no_other_model() -> None:
    every, chats, vision = (
        Limit("requests", 9, "day"),
        Limit("tokens", 9, "day", ("c*", "x")),
        Limit("requests", 1, "day", ("o*",)),
    )
    who = identity(every, vision, team=(every,), key=(chats,))
    found = applied(who, "chat", NOW)
    assert [(limit.owner, limit.limit) for limit in found] == [
        ("tenant acme", every),
        ("team acme/web", every),
        ("key ci", chats),
    ]
    assert len({limit.counter for limit in found}) == 3
    assert [limit.limit for limit in applied(who, "ocr", NOW)] == [every, vision, every]


def test_days_and_months_are_the_calendars_of_the_tenants_zone() -> None:
    day, berlin = one(Limit("tokens", 9, "day")), one(Limit("tokens", 9, "day"), "Europe/Berlin")
    assert day.ends == datetime(2026, 11, 30, tzinfo=ZoneInfo("UTC")).timestamp()
    assert berlin.ends == datetime(2026, 12, 1, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    month = one(Limit("tokens", 9, "month"))
    assert month.ends == datetime(2026, 12, 1, tzinfo=ZoneInfo("UTC")).timestamp()
    assert len({day.counter, berlin.counter, month.counter}) == 3


@given(
    st.sampled_from(("day", "month")),
    st.sampled_from(
        ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana")
    ),
    st.integers(min_value=1_600_000_000, max_value=2_000_000_000),
)
def test_a_moment_is_in_its_period_and_the_next_begins_where_it_ends(per: str, zone: str, now: int) -> None:
    name, ends = period(per, zone, now)  # type: ignore[arg-type]
    assert 0 < ends - now <= (25.5 * 3600 if per == "day" else 31.1 * 86400)
    local = datetime.fromtimestamp(now, ZoneInfo(zone))
    assert name == (f"{local:%Y-%m-%d}" if per == "day" else f"{local:%Y-%m}")
    assert period(per, zone, ends - 1)[0] == name  # type: ignore[arg-type]
    following, later = period(per, zone, ends)  # type: ignore[arg-type]
    assert following > name
    assert later > ends
    assert datetime.fromtimestamp(ends, ZoneInfo(zone)) - timedelta(hours=1, seconds=1) < datetime.fromtimestamp(
        ends, ZoneInfo(zone)
    )


@given(
    st.integers(min_value=1, max_value=10**9),
    st.integers(min_value=0, max_value=10**9),
    st.integers(min_value=0, max_value=10**9),
)
def test_a_reservation_always_fits_an_empty_limit_and_takes_half_of_it_at_most(
    most: int, prompt: int, output: int
) -> None:
    limit = one(Limit("tokens", most, "minute"))
    claim = limit.reserved(Amounts(prompt, output), Amounts(prompt, output))
    assert 0 <= claim.amount <= max(1, most // 2) <= most
    settled = limit.spent(Amounts(prompt, output))
    assert (settled.amount, settled.counter, settled.limit) == (prompt + output, claim.counter, claim.limit)


@given(st.text("ab*?", max_size=6), st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_patterns_that_a_name_matches_both_may_both_match(left: str, right: str, name: str) -> None:
    if fnmatchcase(name, left) and fnmatchcase(name, right):
        assert may_both_match(left, right)
        assert may_both_match(right, left)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("chat-*", "*-fast", True),
        ("chat-*", "ocr", False),
        ("chat-?", "chat-fast", False),
        ("a*b", "c*", False),
        ("a?", "?b", True),
    ],
)
def test_patterns_without_a_common_name_are_told(left: str, right: str, expected: bool) -> None:
    assert may_both_match(left, right) is expected


def test_what_is_known_of_a_key_is_of_its_limits_its_model_and_its_day() -> None:
    known, every, chats = AppliedLimits(), Limit("requests", 9, "day"), Limit("tokens", 9, "day", ("c*",))
    who = identity(every, chats)
    assert [limit.limit for limit in known.of(who, "chat", NOW)] == [every, chats]
    assert known.of(who, "chat", NOW + 60) is known.of(who, "chat", NOW)
    assert [limit.limit for limit in known.of(who, "ocr", NOW)] == [every]
    assert [limit.limit for limit in known.of(identity(chats), "chat", NOW)] == [chats]
    ours = [replace(identity(every, key=own), key_id=key_id) for key_id in ("a", "b") for own in ((), (chats,))]
    assert [[limit.owner for limit in known.of(one, "chat", NOW)] for one in ours] == [
        ["tenant acme"],
        ["tenant acme", "key a"],
        ["tenant acme"],
        ["tenant acme", "key b"],
    ]
    (today,), (tomorrow,) = known.of(identity(every), "chat", NOW), known.of(identity(every), "chat", NOW + 3600)
    assert (today.counter, today.ends) == (one(every).counter, NOW + 1800)
    assert (tomorrow.counter, tomorrow.ends) == (one(every).counter.replace("29", "30"), NOW + 1800 + 86400)
