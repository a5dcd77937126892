"""Who may be awake at the same time, for every mix of models."""

from hypothesis import given
from hypothesis import strategies as st

from switchyard.local.memory.plan import Decision, Fits, Never, Resident, Waits, decide

GIB = 1024**3

RESIDENTS = st.lists(
    st.builds(
        Resident,
        name=st.uuids().map(str),
        bytes=st.integers(0, 50),
        use=st.sampled_from(["idle", "busy", "ending", "pinned"]),
        last_used=st.floats(0, 100),
    ),
    max_size=8,
)
NEEDED = st.integers(1, 80)
CAPACITY = st.integers(0, 200)


def total(residents: list[Resident]) -> int:
    return sum(resident.bytes for resident in residents)


def chosen(decision: Fits, residents: list[Resident]) -> list[Resident]:
    return [resident for resident in residents if resident.name in decision.sleep]


@given(NEEDED, RESIDENTS, CAPACITY)
def test_only_idle_ones_make_room_and_then_all_fit(needed: int, residents: list[Resident], capacity: int) -> None:
    decision = decide(needed, residents, capacity)
    if isinstance(decision, Fits):
        sleepers = chosen(decision, residents)
        assert {one.use for one in sleepers} <= {"idle"}
        left = [one for one in residents if one not in sleepers and not (sleepers and one.use == "ending")]
        assert total(left) + needed <= capacity


@given(NEEDED, RESIDENTS, CAPACITY)
def test_none_sleeps_in_vain(needed: int, residents: list[Resident], capacity: int) -> None:
    decision = decide(needed, residents, capacity)
    if isinstance(decision, Fits):
        sleepers = chosen(decision, residents)
        ending = [one for one in residents if one.use == "ending"]
        for one in sleepers:
            kept = [other for other in residents if other not in ending and (other not in sleepers or other == one)]
            assert total(kept) + needed > capacity


@given(NEEDED, RESIDENTS, CAPACITY)
def test_what_was_used_last_sleeps_last(needed: int, residents: list[Resident], capacity: int) -> None:
    decision = decide(needed, residents, capacity)
    if isinstance(decision, Fits) and decision.sleep:
        sleepers = chosen(decision, residents)
        last = max(sleepers, key=lambda one: one.last_used)
        older = [one for one in residents if one.use == "idle" and one.last_used < last.last_used]
        fixed = [one for one in residents if one.use in ("busy", "pinned")]
        newer = [one for one in residents if one.use == "idle" and one not in older]
        assert total(fixed) + total(newer) + needed > capacity  # all that are older would not have sufficed


@given(NEEDED, RESIDENTS, CAPACITY)
def test_it_waits_exactly_if_those_that_are_in_use_are_in_the_way(
    needed: int, residents: list[Resident], capacity: int
) -> None:
    decision = decide(needed, residents, capacity)
    pinned = [one for one in residents if one.use == "pinned"]
    in_use = [one for one in residents if one.use in ("pinned", "busy")]
    assert isinstance(decision, Never) == (total(pinned) + needed > capacity)
    if not isinstance(decision, Never) and total(in_use) + needed > capacity:
        assert isinstance(decision, Waits)
    if total(residents) + needed <= capacity:
        assert decision == Fits()


def of(needed: float, *residents: Resident, capacity: float = 8) -> Decision:
    return decide(int(needed * GIB), residents, int(capacity * GIB))


def held(name: str, gib: float, use: str = "idle", last_used: float = 0.0) -> Resident:
    return Resident(name=name, bytes=int(gib * GIB), use=use, last_used=last_used)  # type: ignore[arg-type]


def test_a_model_that_never_fits_is_told_the_sum() -> None:
    decision = of(7, held("vision", 1.5, "pinned"), held("preload", 0.5, "pinned"))
    assert isinstance(decision, Never)
    assert decision.reason.startswith(
        "needs 7.0 GiB of memory, but models may take 8.0 GiB here, of which vision (1.5 GiB), preload (512 MiB) "
        "always hold 2.0 GiB: choose a smaller or quantized model"
    )


def test_the_least_recently_used_makes_room() -> None:
    assert of(3, held("a", 3, last_used=1), held("b", 3, last_used=2)) == Fits(("a",))


def test_a_small_one_does_not_sleep_where_a_large_one_must() -> None:
    assert of(5, held("small", 0.5, last_used=1), held("large", 4, last_used=2)) == Fits(("large",))


def test_who_waits_is_told_for_whom() -> None:
    decision = of(3, held("a", 6, "busy"))
    assert decision == Waits("waits for 3.0 GiB of memory: 8.0 GiB are for models here, and a (6.0 GiB) have requests")
    assert of(3, held("a", 6, "ending")) == Waits("waits for 3.0 GiB of memory, which a (6.0 GiB) is giving back")
