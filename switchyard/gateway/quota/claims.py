"""From the limits of an identity to what a call takes of each of them."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from switchyard.gateway.tenants.directory import Identity
from switchyard.gateway.tenants.limits import Limit, Limits, Per, Unit, matcher
from switchyard.store.ledger import Claim

_MOST = 2**53 - 1  # that a ledger takes of one claim
_KNOWN = 2048  # owners by models, of some 2 KB each; a full table is begun anew


class Amounts(NamedTuple):
    """What a call takes, or took, beside being one request."""

    input_tokens: int = 0
    output_tokens: int = 0
    inferences: int = 0
    pixels: int = 0
    nano_dollars: int = 0


# Of what a limit counts, in the unit of its counter.
_AMOUNTS: Mapping[Unit, Callable[[Amounts], int]] = {
    "requests": lambda _: 1,
    "in_flight": lambda _: 1,
    "tokens": lambda amounts: amounts.input_tokens + amounts.output_tokens,
    "input_tokens": attrgetter("input_tokens"),
    "output_tokens": attrgetter("output_tokens"),
    "inferences": attrgetter("inferences"),
    "megapixels": attrgetter("pixels"),
    "dollars": attrgetter("nano_dollars"),
}
_KINDS: Mapping[Per | None, tuple[Literal["held", "rolling", "period"], int]] = {
    None: ("held", 0),
    "minute": ("rolling", 60),
    "day": ("period", 0),
    "month": ("period", 0),
}


class AppliedLimit:
    """A limit that a call counts for, whose it is, and its counter, which for a day or month ``ends``."""

    __slots__ = ("_amount", "_kind", "_seconds", "_single", "counter", "ends", "limit", "most", "owner")

    def __init__(self, limit: Limit, owner: str, counter: str, ends: float = 0.0) -> None:
        self.limit = limit
        self.owner = owner
        self.counter = counter
        self.ends = ends
        self.most = limit.most
        self._amount = _AMOUNTS[limit.unit]
        self._kind, self._seconds = _KINDS[limit.per]
        # What most claims are: one request, one in flight.
        self._single = Claim(counter, 1, self.most, self._kind, self._seconds, ends, not limit.shadow)

    def reserved(self, estimate: Amounts, most: Amounts) -> Claim:
        """Return what a call reserves: of a day or month the ``most`` that it asks for, else its estimate.

        What a minute had too much is made up for by the next one; a budget is not to be passed by calls that run at
        once after others that were short. It is at most half of the limit: estimates are often too high, and one above
        the limit could never be reserved; half lets such a call through alone, and two at a time else.
        """
        return self.claim(min(self._amount(most if self.ends else estimate), max(1, self.most // 2)))

    def spent(self, amounts: Amounts) -> Claim:
        """Return what a call really took."""
        return self.claim(min(self._amount(amounts), _MOST))

    def claim(self, amount: int) -> Claim:
        """Return the claim of ``amount`` on the limit."""
        if amount == 1:
            return self._single
        return Claim(self.counter, amount, self.most, self._kind, self._seconds, self.ends, not self.limit.shadow)


class AppliedLimits:
    """The limits that calls count for, known for each owner and model until a day or month ends."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, str], tuple[Limits, float, tuple[AppliedLimit, ...]]] = {}

    def of(self, identity: Identity, model: str, now: float) -> tuple[AppliedLimit, ...]:
        """Return what ``applied`` does."""
        limits = identity.limits
        if limits is None:
            return ()
        key = identity.tenant, identity.team, identity.key_id if limits.key else "", model
        known = self._known.get(key)
        if known is not None and known[0] == limits and now < known[1]:
            return known[2]
        found = applied(identity, model, now)
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[key] = limits, min((one.ends for one in found if one.ends), default=math.inf), found
        return found


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
            if not limit.models or matcher(limit.models)(model):
                start, ends = ("", 0.0) if limit.per in (None, "minute") else period(limit.per, limits.zone, now)
                found.append(AppliedLimit(limit, owner, _counter(counter, limit, start), ends))
    return tuple(found)


@lru_cache(2048)
def _counter(owner: str, limit: Limit, start: str) -> str:
    # A limit that is edited keeps what was counted, unless it then counts something else.
    models = ",".join(sorted(limit.models)) or "*"
    return f"{owner} {limit.unit} {limit.per or 'now'}{start} {models}" + (" shadow" if limit.shadow else "")


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
