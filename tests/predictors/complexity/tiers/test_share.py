import random
from collections.abc import Sequence
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.complexity.tiers.share import RECENT, WARM_UP, ShareController

BLOCK = 500
POINTS = 0.02
NORMAL = [NormalDist().inv_cdf((place + 0.5) / 100) for place in range(100)]


def decisions(share: float, scores: Sequence[float]) -> list[bool]:
    controller = ShareController(share, NORMAL)
    return [controller.decide(score).reasoning for score in scores]


def worst_block(made: list[bool], share: float) -> float:
    """How far from the share the worst block of 500 in a row is, after the warm-up."""
    counted = made[WARM_UP:]
    inside = sum(counted[:BLOCK])
    worst = abs(inside / BLOCK - share)
    for place in range(BLOCK, len(counted)):
        inside += counted[place] - counted[place - BLOCK]
        worst = max(worst, abs(inside / BLOCK - share))
    return worst


def drawn(chance: random.Random, *parts: tuple[float, float, int]) -> list[float]:
    """Scores of one domain after the other, each a mean, a deviation and a length."""
    return [chance.gauss(mean, deviation) for mean, deviation, count in parts for _ in range(count)]


@pytest.mark.parametrize("share", [0.1, 0.35, 0.8])
@pytest.mark.parametrize(
    "then",
    [(3.0, 1.0), (-3.0, 1.0), (10.0, 0.1), (0.0, 5.0), (0.7, 0.0)],
    ids=["up", "down", "far", "wide", "one score"],
)
def test_the_share_holds_within_two_points_in_any_500_requests_across_a_domain_shift(
    share: float, then: tuple[float, float]
) -> None:
    scores = drawn(random.Random(3), (0.0, 1.0, 1500), (*then, 1500), (0.0, 1.0, 1000))

    assert worst_block(decisions(share, scores), share) <= POINTS


@given(
    share=st.floats(0, 1),
    parts=st.lists(
        st.tuples(st.floats(-100, 100), st.sampled_from([0.0, 0.1, 1.0, 20.0]), st.integers(1, 400)),
        min_size=3,
        max_size=8,
    ),
    seed=st.integers(0, 100),
)
def test_the_share_holds_for_any_sequence_of_scores(
    share: float, parts: list[tuple[float, float, int]], seed: int
) -> None:
    scores = drawn(random.Random(seed), *parts)
    scores += scores[: max(0, WARM_UP + BLOCK - len(scores))] + [0.0] * (WARM_UP + BLOCK)

    assert worst_block(decisions(share, scores), share) <= POINTS


def test_steady_traffic_is_decided_by_scores_nearly_as_by_a_fixed_threshold() -> None:
    scores = drawn(random.Random(1), (0.0, 1.0, 5000))
    made = decisions(0.35, scores)
    threshold = sorted(scores)[int(0.65 * len(scores))]

    same = sum(decided == (score > threshold) for decided, score in zip(made, scores, strict=True))
    assert same / len(scores) > 0.9


def test_the_first_requests_are_decided_by_the_expected_scores_alone() -> None:
    controller = ShareController(0.35, NORMAL)
    easy = [controller.decide(-2.0) for _ in range(20)]

    assert not any(decision.reasoning for decision in easy)
    assert controller.decide(2.0) == (True, False)


def test_decisions_made_elsewhere_are_made_up_for() -> None:
    scores = drawn(random.Random(2), (0.0, 1.0, 2000))
    controller = ShareController(0.35, NORMAL)
    made = []
    for number, score in enumerate(scores):
        if number % 10 == 0:  # a tenth is held at reasoning by affinity
            controller.count(True)
            made.append(True)
        else:
            made.append(controller.decide(score).reasoning)

    assert worst_block(made, 0.35) <= POINTS


def test_a_lean_towards_a_tier_decides_near_the_threshold_only() -> None:
    controller = ShareController(0.5, NORMAL)
    near, far = controller.threshold - 0.1, controller.threshold - 3

    assert controller.decide(near, 0.5).reasoning
    assert not controller.decide(far, 0.5).reasoning


def test_the_current_share_is_that_of_the_last_decisions() -> None:
    controller = ShareController(0.35, NORMAL)
    assert controller.current == 0.35
    for _ in range(RECENT):
        controller.count(True)
    assert controller.current == 1.0


@pytest.mark.parametrize(("share", "tier"), [(0.0, False), (1.0, True)])
def test_a_share_of_nothing_or_all_is_kept_exactly(share: float, tier: bool) -> None:
    made = decisions(share, drawn(random.Random(4), (0.0, 1.0, 1000)))

    assert set(made[WARM_UP:]) == {tier}
