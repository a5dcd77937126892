from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from predictors.complexity.classifier.scorers import SCORERS, ScorerName, make_scorer, make_scorer_or_length
from predictors.complexity.classifier.tokens import Text
from tests.predictors.complexity.conftest import MODELS

EASY, HARD = "Hi!", "Prove that 3 + 4 * 12 - 5 = 46, and explain each step: " + "then compute and add the rest. " * 20


@pytest.mark.parametrize("name", SCORERS)
def test_each_scorer_explains_its_score_and_expects_what_it_gives(name: ScorerName) -> None:
    scorer = make_scorer(name, MODELS)
    reasons = scorer.explain(Text.of(HARD), 5)

    assert 1 <= len(reasons) <= 5
    assert all(abs(one[1]) >= abs(other[1]) for one, other in pairwise(reasons))
    assert (np.diff(scorer.quantiles) >= 0).all()


@pytest.mark.parametrize("name", ["heuristic", "length"])
def test_a_baseline_finds_more_in_a_long_and_worked_prompt(name: ScorerName) -> None:
    scorer = make_scorer(name, MODELS)

    assert scorer.score(Text.of(EASY)) < scorer.score(Text.of(HARD))


def test_the_demos_model_tells_one_step_from_three() -> None:
    scorer = make_scorer("learned", MODELS, "demo")
    one = scorer.score(Text.of("Ben has 12 cards and gets 3 more. How many cards does he have?"))
    three = scorer.score(Text.of("Ben has 12 cards. He gets 3 more. He loses 5. He finds 8. How many does he have?"))

    assert one + 1 < three


def test_no_file_means_length_and_a_reason(tmp_path: Path) -> None:
    scorer, reason = make_scorer_or_length("learned", tmp_path)

    assert scorer.score(Text.of(EASY)) == make_scorer("length", tmp_path).score(Text.of(EASY))
    assert "prior.safetensors" in reason


def test_the_shipped_files_are_small() -> None:
    assert sum(path.stat().st_size for path in MODELS.glob("*.safetensors")) <= 5_000_000
