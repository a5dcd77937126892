"""Both ledgers do what a plain model does, whatever is asked of them and however time passes between."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchyard.store.ledger import Claim, Entry, Grant, Ledger
from switchyard.store.redis_ledger import RedisLedger
from switchyard.store.sqlite_ledger import SqliteLedger
from tests.switchyard.store.conftest import RedisServer

BEGIN = 1_800_000_000.0
PERIOD_ENDS = BEGIN + 100
Step = tuple[str, str, list[Claim], float]  # what is done, by which call, with which claims, for how many seconds
Kind = tuple[Literal["held", "rolling", "period"], int]
KINDS: list[Kind] = [("held", 0), ("rolling", 60), ("rolling", 1), ("period", 0)]
LIMITS = {"held": 5, "rolling": 20, "period": 40}


@dataclass
class Model:
    """Reservations and charges as plain lists, each charge with its time."""

    now: float = BEGIN
    open: dict[str, tuple[float, float, list[Claim]]] = field(default_factory=dict)
    charges: list[tuple[float, Claim]] = field(default_factory=list)
    settled: dict[str, bool] = field(default_factory=dict)

    def end_leases(self) -> None:
        self.open = {call: kept for call, kept in self.open.items() if kept[1] > self.now}

    def used(self, asked: Claim) -> int:
        taken = self.charges + [(at, claim) for at, _, claims in self.open.values() for claim in claims]
        return sum(claim.amount for at, claim in taken if same(claim, asked) and self.in_force(at, claim))

    def in_force(self, at: float, claim: Claim) -> bool:
        if claim.kind == "rolling":
            return self.now * 60 // claim.seconds - at * 60 // claim.seconds <= 60
        return claim.kind == "held" or self.now < claim.ends

    def reserve(self, call: str, claims: list[Claim], lease: float) -> tuple[bool, list[int]]:
        self.end_leases()
        before = [self.used(claim) for claim in claims]
        pairs = list(zip(before, claims, strict=True))
        if call in self.open:
            return True, before
        if any(claim.enforced and used + claim.amount > claim.limit for used, claim in pairs):
            return False, before
        self.open[call] = self.now, self.now + lease, claims
        return True, [self.used(claim) + (self.now >= claim.ends > 0) * claim.amount for claim in claims]

    def renew(self, call: str, lease: float) -> None:
        at, ends, claims = self.open.get(call, (0.0, 0.0, []))
        if ends > self.now:
            self.open[call] = at, self.now + lease, claims

    def settle(self, call: str, claims: list[Claim]) -> bool:
        if call in self.settled:
            return False
        self.settled[call] = True
        at, ends, reserved = self.open.pop(call, (self.now, 0.0, []))
        for claim in claims:
            known = ends > self.now and any(same(claim, other) for other in reserved)
            if claim.kind != "held":
                self.charges.append((at if known else self.now, claim))
        return True


def same(one: Claim, other: Claim) -> bool:
    return (one.counter, one.kind, one.seconds) == (other.counter, other.kind, other.seconds)


def a_claim(kind: Kind, amount: int, enforced: bool) -> Claim:
    ends = PERIOD_ENDS if kind[0] == "period" else 0.0
    return Claim("counter", amount, LIMITS[kind[0]], kind[0], kind[1], ends, enforced)


@st.composite
def claims(draw: st.DrawFn) -> list[Claim]:
    kinds = draw(st.lists(st.sampled_from(KINDS), unique=True))
    return [a_claim(kind, draw(st.integers(0, 12)), draw(st.booleans())) for kind in kinds]


CALLS = st.sampled_from(["a", "b", "c", "d"])
LEASES = st.sampled_from([0.5, 30.0, 3600.0])
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("reserve"), CALLS, claims(), LEASES),
    st.tuples(st.just("settle"), CALLS, claims(), LEASES),
    st.tuples(st.just("renew"), CALLS, st.just([]), LEASES),
    st.tuples(st.just("wait"), CALLS, st.just([]), st.sampled_from([0.01, 0.4, 1.0, 7.0, 31.0, 60.0])),
)


async def replay(opened: Callable[[Callable[[], float]], Ledger], owner: str, steps: list[Step]) -> None:
    """Run the steps on two ledgers of one store, as two processes have them: two on the one, then one on the other."""
    model = Model()
    ledgers = [opened(lambda: model.now) for _ in range(2)]
    try:
        await compare(itertools.cycle([ledgers[0], *ledgers]), model, owner, steps)
    finally:
        for ledger in ledgers:
            await ledger.aclose()


async def compare(ledgers: Iterator[Ledger], model: Model, owner: str, steps: list[Step]) -> None:
    entries = 0
    for name, call, asked, seconds in steps:
        ledger = next(ledgers)
        if name == "wait":
            model.now += seconds
        elif name == "renew":
            model.renew(call, seconds)
            await ledger.renew(owner, [call], lease=seconds)
        elif name == "reserve":
            expected = model.reserve(call, asked, seconds)
            result = await ledger.reserve(owner, call, asked, lease=seconds)
            assert (isinstance(result, Grant), [level.used for level in result.levels]) == expected
        else:
            entries += (new := model.settle(call, asked))
            assert (await ledger.settle(owner, call, asked, Entry(call.encode(), "", (1,))) is not None) == new
    nothing = [a_claim(kind, 0, enforced=False) for kind in KINDS]
    _, used = model.reserve("last", nothing, 1)
    ledger = next(ledgers)
    assert [level.used for level in (await ledger.reserve(owner, "last", nothing, lease=1)).levels] == used
    totals = await ledger.totals(owner, since=0, until=10**10, width=86400)
    assert sum(total.amounts[0] for total in totals) == entries == len(await ledger.rows(owner, since=0, until=10**10))


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STEPS, max_size=25))
async def test_both_do_what_the_model_does(tmp_path: Path, redis_server: RedisServer, steps: list[Step]) -> None:
    owner = str(uuid.uuid4())
    await replay(lambda clock: SqliteLedger(tmp_path / f"{owner}.db", clock=clock), owner, steps)
    await replay(lambda clock: RedisLedger(redis_server.url, seconds=10, clock=clock), owner, steps)
