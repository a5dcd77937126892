"""The prior's safeguard, on label sets that are made here, and the figures that the shipped prior keeps of itself."""

import random

import numpy as np
import orjson
import pytest
from safetensors import safe_open

from predictors.complexity.classifier.model import CHARACTERS
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.training.fitting import Rows, judged
from predictors.complexity.training.labels import Labels
from predictors.complexity.training.safeguard import fit_prior
from tests.predictors.complexity.conftest import MODELS

NOUNS = ("bird", "house", "tree", "river", "road", "boat", "stone", "cloud", "lamp", "door", "garden", "letter")


def made(name: str, seed: int, *, sense: int, count: int = 200) -> Rows:
    """Rows in which what is asked to be derived is hard (``sense`` 1) or easy (-1)."""
    chance, texts, gain = random.Random(seed), [], []
    for number in range(count):
        text = " ".join(chance.choices(NOUNS, k=chance.randint(5, 25)))
        reasons = number % 2 == 0
        texts.append(
            Text.of(f"explain why {text} and prove because if {text}" if reasons else f"who saw {text} {text}?")
        )
        gain.append(float(reasons == (sense > 0)))
    right = np.array(gain)
    return Rows.of(Labels(name, tuple(texts), right, right, np.ones(count, bool)))


def word_problems(*, longer_is_harder: bool, count: int = 200) -> Rows:
    chance, texts, steps = random.Random(5), [], []
    for _ in range(count):
        number = chance.randint(1, 8)
        told = " ".join(f"Ana buys {chance.randint(2, 99)} {chance.choice(NOUNS)}s." for _ in range(number))
        texts.append(Text.of(f"{told} How many does she have?"))
        steps.append(number / 10 if longer_is_harder else 1 - number / 10)
    wrong = np.array(steps)
    return Rows.of(Labels("problems", tuple(texts), wrong, wrong, np.ones(count, bool), word_problems=True))


def test_a_prior_that_learned_the_opposite_of_an_unseen_set_falls_back_to_the_heuristic() -> None:
    """Each set contradicts the other, so what is learned ranks the one held out upside down."""
    sets = [made("one", 1, sense=1), made("other", 2, sense=-1), made("third", 3, sense=1)]
    prior, held_out = fit_prior([*sets, word_problems(longer_is_harder=True)], 1)
    ways = [held_out[rows.labels.name] for rows in sets]

    assert np.mean([way["learned alone"] for way in ways]) < np.mean([way["heuristic"] for way in ways])
    assert np.mean([way["prior"] for way in ways]) >= np.mean([way["heuristic"] for way in ways]) - 0.001
    assert prior.safeguard is not None
    assert prior.safeguard.heuristic.weights.any()


def test_a_prior_that_learned_what_holds_elsewhere_needs_no_heuristic() -> None:
    sets = [made(name, seed, sense=1) for seed, name in enumerate(("one", "other", "third"))]
    prior, held_out = fit_prior([*sets, word_problems(longer_is_harder=True)], 1)

    assert held_out["one"]["prior"] == pytest.approx(held_out["one"]["learned alone"])
    assert prior.safeguard is not None
    assert not prior.safeguard.heuristic.weights.any()


@pytest.mark.parametrize("longer_is_harder", [True, False])
def test_word_problems_are_rated_by_length_where_that_ranks_better_and_only_there(longer_is_harder: bool) -> None:
    sets = [made("one", 1, sense=1), made("other", 2, sense=1)]
    problems = word_problems(longer_is_harder=longer_is_harder)
    prior, held_out = fit_prior([*sets, problems], 1)
    way = held_out["problems"]
    scores = np.array([one.score for one in judged(prior, problems)])
    by_length = bool(np.corrcoef(scores, problems.surface[:, CHARACTERS])[0, 1] > 0.9999)

    assert way["prior"] >= way["length"] - 0.005
    assert by_length == (way["length"] > way["learned alone"])
    assert prior.safeguard is not None
    assert not any(prior.safeguard.by_length(row) for rows in sets for row in rows.surface)


def test_the_shipped_prior_was_not_below_the_heuristic_on_sets_that_it_had_not_seen() -> None:
    with safe_open(MODELS / "prior.safetensors", "numpy") as file:
        held_out = orjson.loads(file.metadata()["switchyard"])["held_out"]
    problems = held_out.pop("gsm8k")

    assert (
        np.mean([way["prior"] for way in held_out.values()])
        >= np.mean([way["heuristic"] for way in held_out.values()]) - 0.001
    )
    assert problems["prior"] >= problems["length"] - 0.001
    assert held_out["mmlu"]["prior"] > max(held_out["mmlu"]["heuristic"], held_out["mmlu"]["length"])
