"""Seeded generator of the problems that the two models learn and are examined on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from predictors.llm.training import small_talk
from predictors.llm.training.arithmetic import arithmetic
from predictors.llm.training.example import Example, Kind, Tier, held_out
from predictors.llm.training.wordings import SYSTEM_PROMPTS

__all__ = ["MAX_STEPS", "Example", "Kind", "Tier", "draw", "held_out", "held_out_problems", "training_stream"]

MAX_STEPS = 5
STEP_WEIGHTS: dict[Tier, tuple[int, ...]] = {"fast": (66, 18, 10, 4, 2), "reasoning": (20, 20, 22, 20, 18)}
KIND_WEIGHTS: dict[Kind, int] = {"arithmetic": 52, "comparison": 12, "date": 12, "json": 5, "small talk": 19}


def _json(rng: random.Random, steps: int) -> Example:
    problem = arithmetic(rng, steps)
    order = rng.choice(("Answer in JSON.", "Reply in JSON.", "Answer as JSON.", "Give the answer as a JSON object."))
    return replace(problem, kind="json", question=f"{problem.question} {order}")


def draw(rng: random.Random, kind: Kind, steps: int = 1) -> Example:
    """Draw one example of a kind, in the casing and punctuation of someone or other."""
    match kind:
        case "arithmetic":
            example = arithmetic(rng, steps)
        case "comparison":
            example = small_talk.comparison(rng)
        case "date":
            example = small_talk.date(rng)
        case "json":
            example = _json(rng, min(steps, 2))
        case "small talk":
            example = small_talk.small_talk(rng, arithmetic(rng, 1))
    question = example.question
    if rng.random() < 0.1:
        question = question.lower()
    if rng.random() < 0.1:
        question = question.rstrip(".?!")
    return replace(example, question=question, system=rng.choice(SYSTEM_PROMPTS) if rng.random() < 0.1 else "")


def training_stream(seed: int, tier: Tier) -> Iterator[Example]:
    """Yield training examples without end, the same ones for the same seed, none of them held out."""
    rng = random.Random(seed)
    kinds, weights = list(KIND_WEIGHTS), list(KIND_WEIGHTS.values())
    while True:
        (kind,) = rng.choices(kinds, weights)
        (steps,) = rng.choices(range(1, MAX_STEPS + 1), STEP_WEIGHTS[tier])
        example = draw(rng, kind, steps)
        if not any(held_out(turn.conversation) for turn in (example, *example.history)):
            yield example


def held_out_problems(seed: int, count: int, kind: Kind = "arithmetic", steps: int = 1) -> list[Example]:
    """Return different examples that no training run has seen; an arithmetic one takes exactly `steps` steps."""
    rng, found = random.Random(seed), dict[str, Example]()
    while len(found) < count:
        example = draw(rng, kind, steps)
        if held_out(example.conversation):
            found.setdefault(example.conversation, example)
    return list(found.values())
