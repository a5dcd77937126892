"""Examines the two models on held-out conversations and prints a table of exact matches.

Held out means: the hash of a conversation's words decides, once and for all, that no training run draws it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from predictors.llm.training.example import Example, Kind, Tier, said
from predictors.llm.training.problems import MAX_STEPS, held_out_problems

TIERS: tuple[Tier, ...] = ("fast", "reasoning")
SEED = 2024
BATCH = 100
LONGEST_REPLY = 128


class Cell(NamedTuple):
    """One row of the table: a kind of problem and, for arithmetic, its number of steps."""

    label: str
    kind: Kind
    steps: int


CELLS = (
    Cell("arithmetic, 1 step", "arithmetic", 1),
    *(Cell(f"arithmetic, {steps} steps", "arithmetic", steps) for steps in range(2, MAX_STEPS + 1)),
    Cell("comparisons", "comparison", 1),
    Cell("dates", "date", 1),
    Cell("arithmetic in JSON, 1 step", "json", 1),
    Cell("small talk", "small talk", 1),
)


class Student:
    """One loaded model that answers batches of conversations greedily."""

    def __init__(self, folder: Path, tier: Tier) -> None:
        self.tier: Tier = tier
        self._tokenizer = AutoTokenizer.from_pretrained(str(folder))
        self._model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()

    def replies(self, examples: list[Example]) -> Iterator[str]:
        """Yield the reply to each example."""
        for start in range(0, len(examples), BATCH):
            chats = [example.messages(self.tier) for example in examples[start : start + BATCH]]
            texts = self._tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
            inputs = self._tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
            with torch.inference_mode():
                tokens = self._model.generate(**inputs, do_sample=False, max_new_tokens=LONGEST_REPLY)
            yield from self._tokenizer.batch_decode(tokens[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)


def is_right(example: Example, reply: str) -> bool:
    """Tell whether a reply states exactly the answer of the example."""
    if example.kind != "json":
        return said(reply) == example.answer
    try:
        return bool(json.loads(reply)["answer"] == int(example.answer))
    except (ValueError, KeyError, TypeError):
        return False


def share_right(student: Student, cell: Cell, samples: int) -> float:
    """Return the share of held-out examples of a cell that a model answers exactly."""
    examples = held_out_problems(SEED, samples, cell.kind, cell.steps)
    examples.sort(key=lambda example: len(example.conversation))  # batches of like length, little padding
    right = [is_right(example, reply) for example, reply in zip(examples, student.replies(examples), strict=True)]
    return sum(right) / samples


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model-repository", type=Path, default=Path("model-repository/llm"))
    parser.add_argument("--samples", type=int, default=300)
    options = parser.parse_args()
    students = [Student(options.model_repository / f"chat-{tier}", tier) for tier in TIERS]
    print(f"| {options.samples} held-out examples each | chat-fast | chat-reasoning |\n|---|---:|---:|")
    for cell in CELLS:
        shares = [share_right(student, cell, options.samples) for student in students]
        print(f"| {cell.label} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
