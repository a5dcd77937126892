"""From the limits of an identity to what a call takes of each of them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import translate
from functools import lru_cache
from zoneinfo import ZoneInfo

from switchyard.gateway.tenants.directory import Identity
from switchyard.gateway.tenants.limits import SCALES, Limit, Per
from switchyard.store.ledger import Claim


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a call takes, or took, beside being one request."""

    input_tokens: int = 0
    output_tokens: int = 0
    inferences: int = 0
    pixels: int = 0
    nano_dollars: int = 0

    def of(self, limit: Limit) -> int:
        """Return the amount of what ``limit`` counts, in the unit of its counter."""
        match limit.unit:
            case "requests" | "in_flight":
                return 1
            case "tokens":
                return self.input_tokens + self.output_tokens
            case "input_tokens":
                return self.input_tokens
            case "output_tokens":
                return self.output_tokens
            case "inferences":
                return self.inferences
            case "megapixels":
                return self.pixels
            case "dollars":
                return self.nano_dollars


@dataclass(frozen=True, slots=True)
class AppliedLimit:
    """A limit that a call counts for, whose it is, and its counter, which for a day or month ``ends``."""

    limit: Limit
    owner: str
    counter: str
    ends: float = 0.0

    @property
    def most(self) -> int:
        """The limit in the unit of its counter."""
        return self.limit.most * SCALES.get(self.limit.unit, 1)

    def claim(self, amount: int) -> Claim:
        """Return the claim of ``amount`` on the limit."""
        limit = self.limit
        if limit.per is None:
            return Claim(self.counter, amount, self.most, "held", enforced=not limit.shadow)
        if limit.per == "minute":
            return Claim(self.counter, amount, self.most, "rolling", seconds=60, enforced=not limit.shadow)
        return Claim(self.counter, amount, self.most, "period", ends=self.ends, enforced=not limit.shadow)


def applied(identity: Identity, model: str, now: float) -> tuple[AppliedLimit, ...]:
    """Return the limits that a call of ``identity`` to ``model`` counts for; ``now`` is in seconds since 1970."""
    limits = identity.limits
    if limits is None:
        return ()
    found: list[AppliedLimit] = []
    for owner, counter, some in (
        (f"tenant {identity.tenant}", "tenant", limits.tenant),
        (f"team {identity.tenant}/{identity.team}", f"team/{identity.team}", limits.team),
        (f"key {identity.key_id}", f"key/{identity.key_id}", limits.key),
    ):
        for limit in some:
            if not limit.models or _any_of(limit.models)(model):
                start, ends = ("", 0.0) if limit.per in (None, "minute") else period(limit.per, limits.zone, now)
                found.append(AppliedLimit(limit, owner, _counter(counter, limit, start), ends))
    return tuple(found)


def reserved(limits: Sequence[AppliedLimit], estimate: Amounts) -> list[Claim]:
    """Return what a call reserves of each limit: its estimate, at most half of the limit.

    An estimate is often too high, and one above the limit could never be reserved: half lets such a call through
    alone, and two at a time else.
    """
    return [one.claim(min(estimate.of(one.limit), max(1, one.most // 2))) for one in limits]


def spent(limits: Sequence[AppliedLimit], amounts: Amounts) -> list[Claim]:
    """Return what a call really took of each limit."""
    return [one.claim(amounts.of(one.limit)) for one in limits]


@lru_cache(2048)
def _counter(owner: str, limit: Limit, start: str) -> str:
    # A limit that is edited keeps what was counted, unless it then counts something else.
    models = ",".join(sorted(limit.models)) or "*"
    return f"{owner} {limit.unit} {limit.per or 'now'}{start} {models}" + (" shadow" if limit.shadow else "")


@lru_cache(1024)
def _any_of(patterns: tuple[str, ...]) -> Callable[[str], object]:
    return re.compile("|".join(map(translate, patterns))).match


def period(per: Per | None, zone: str, now: float) -> tuple[str, float]:
    """Return the name of the calendar's day or month in ``zone`` that ``now`` is in, and when it ends."""
    return _period(per, zone, int(now) // 900)


@lru_cache(2048)  # zones change their offset, and days begin, at whole quarters of an hour
def _period(per: Per | None, zone: str, quarter: int) -> tuple[str, float]:
    local = datetime.fromtimestamp(quarter * 900, ZoneInfo(zone))
    if per == "day":
        start = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        after = start + timedelta(days=1)
        return f"{start:%Y-%m-%d}", after.timestamp()
    start = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    after = (start + timedelta(days=32)).replace(day=1)
    return f"{start:%Y-%m}", after.timestamp()
