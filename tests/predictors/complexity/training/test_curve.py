import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.complexity.training.curve import Curve, Values, bootstrap

FAST = np.array([1.0, 0.0, 0.0, 1.0])
REASONING = np.array([1.0, 1.0, 0.0, 1.0])


def curve(*score: float, fast: Values = FAST, reasoning: Values = REASONING) -> Curve:
    return Curve.of(np.array(score), fast, reasoning)


def test_the_ends_are_the_two_tiers_alone() -> None:
    found = curve(3, 1, 2, 0)

    assert found.at(0) == FAST.mean()
    assert found.at(1) == REASONING.mean()


def test_one_score_for_all_is_chance() -> None:
    found = curve(0, 0, 0, 0)

    assert found.apgr == 0.5
    assert found.cpt(0.8) == pytest.approx(0.8)


def test_a_score_that_knows_needs_only_what_gains() -> None:
    found = curve(0, 9, 0, 0)

    assert found.at(0.25) == 0.75
    assert found.cpt(0.5) == pytest.approx(0.125)
    assert found.apgr == pytest.approx(0.875)


def test_ties_are_taken_together_whatever_their_order() -> None:
    assert curve(1, 1, 0, 0).apgr == curve(1, 1, 0, 0, fast=FAST[[1, 0, 2, 3]], reasoning=REASONING[[1, 0, 2, 3]]).apgr


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=4, max_size=4))
def test_a_score_and_its_opposite_average_to_chance(score: list[float]) -> None:
    assert curve(*score).apgr + curve(*(-one for one in score)).apgr == pytest.approx(1.0)


def test_an_interval_holds_the_value_and_narrows_with_more_prompts() -> None:
    rng = np.random.default_rng(0)

    def width(count: int) -> float:
        score = rng.normal(size=count)
        fast = (rng.random(count) < 0.5).astype(float)
        reasoning = np.maximum(fast, (rng.random(count) < 0.5) & (score > 0))
        found = bootstrap(lambda one: one.apgr, score, fast, reasoning)
        assert found.low < found.value < found.high
        return found.high - found.low

    assert width(4000) < width(200)
