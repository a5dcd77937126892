"""``python -m benchmarks.routing.demo --out demo.jsonl``: labels for the router from the two demo models themselves.

Conversations are drawn in the mixture that the fast model was trained on; those that are held out are left to
``benchmarks.routing``.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.processes import ROOT
from predictors.llm.training.evaluate import TIERS, Student, is_right
from predictors.llm.training.example import Example, held_out
from predictors.llm.training.problems import KIND_WEIGHTS, MAX_STEPS, STEP_WEIGHTS, draw

MODELS = ROOT / "model-repository" / "llm"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A conversation and which of the models answered its last turn rightly."""

    example: Example
    fast: bool
    reasoning: bool

    @property
    def turns(self) -> tuple[str, ...]:
        """What the user said."""
        return (*(turn.question for turn in self.example.history), self.example.question)


def traffic(seed: int, count: int, *, examined: bool) -> list[Example]:
    """Different conversations in the fast model's mixture of kinds and steps, of those held out or of the others."""
    rng, found = random.Random(seed), dict[str, Example]()
    kinds, weights = list(KIND_WEIGHTS), list(KIND_WEIGHTS.values())
    while len(found) < count:
        (kind,) = rng.choices(kinds, weights)
        (steps,) = rng.choices(range(1, MAX_STEPS + 1), STEP_WEIGHTS["fast"])
        example = draw(rng, kind, steps)
        if held_out(example.conversation) == examined:
            found.setdefault(example.conversation, example)
    return list(found.values())


def outcomes(examples: list[Example]) -> Iterator[Outcome]:
    """Asks both models everything, on one core."""
    ordered = sorted(examples, key=lambda example: len(example.conversation))  # batches of like length, little padding
    right = [
        [is_right(example, reply) for example, reply in zip(ordered, student.replies(ordered), strict=True)]
        for student in (Student(MODELS / f"chat-{tier}", tier) for tier in TIERS)
    ]
    yield from (Outcome(*row) for row in zip(ordered, *right, strict=True))


def main() -> None:
    """Reads the command line and writes the labels."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing.demo", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    with options.out.open("wb") as file:
        for one in outcomes(traffic(options.seed, options.samples, examined=False)):
            label = {"prompt": one.turns, "fast": int(one.fast), "reasoning": int(one.reasoning)}
            file.write(orjson.dumps(label, option=orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
