"""The problems are right, split cleanly and drawn the same way every time."""

from __future__ import annotations

import datetime
import itertools
import json
import operator
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.llm.training.example import Example, Kind, Tier, held_out, said
from predictors.llm.training.problems import MAX_STEPS, draw, held_out_problems, training_stream

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}
WORDS = {"plus": "+", "minus": "-", "times": "*"}
TIERS: tuple[Tier, ...] = ("fast", "reasoning")
KINDS: tuple[Kind, ...] = ("arithmetic", "comparison", "date", "json", "small talk")
seeds = st.integers(0, 2**32)
step_counts = st.integers(1, MAX_STEPS)


def drawn(seed: int, kind: Kind, steps: int = 1) -> Example:
    return draw(random.Random(seed), kind, steps)


@given(seeds, step_counts)
def test_every_arithmetic_problem_has_the_asked_number_of_steps(seed: int, steps: int) -> None:
    assert len(drawn(seed, "arithmetic", steps).steps) == steps


@given(seeds, step_counts)
def test_every_step_is_true_and_the_last_one_is_the_answer(seed: int, steps: int) -> None:
    example = drawn(seed, "arithmetic", steps)
    result = ""
    for step in example.steps:
        left, sign, right, result = re.fullmatch(r"(\d+) ([-+*/]) (\d+) = (\d+)", step).groups()  # type: ignore[union-attr]
        assert OPERATORS[sign](int(left), int(right)) == int(result)
    assert int(result) == int(example.answer)


@given(seeds, step_counts)
def test_every_number_in_a_step_is_told_in_the_question_or_found_in_an_earlier_step(seed: int, steps: int) -> None:
    example = drawn(seed, "arithmetic", steps)
    known = {"2", *re.findall(r"\d+", example.question)}  # doubling and halving tell no number
    for step in example.steps:
        left, right, result = re.findall(r"\d+", step)
        assert {left, right} <= known
        known.add(result)


@given(seeds, step_counts)
def test_every_bare_expression_gives_its_answer_from_left_to_right(seed: int, steps: int) -> None:
    example = drawn(seed, "arithmetic", steps)
    text = re.sub("|".join(WORDS), lambda found: WORDS[found[0]], example.question)
    expression = re.search(r"\d+( [-+*] \d+)+", text)
    if expression is None:
        return
    first, *rest = expression[0].split()
    total = int(first)
    for sign, operand in zip(rest[::2], rest[1::2], strict=True):
        total = OPERATORS[sign](total, int(operand))
    assert total == int(example.answer)


@given(seeds, step_counts)
def test_no_number_leaves_the_range_the_models_learn(seed: int, steps: int) -> None:
    example = drawn(seed, "arithmetic", steps)
    assert all(
        0 <= int(number) < 1000 for line in (example.question, *example.steps) for number in re.findall(r"\d+", line)
    )


@given(seeds)
def test_comparisons_name_the_right_side(seed: int) -> None:
    example = drawn(seed, "comparison")
    left, right = map(int, re.findall(r"\d+", example.question))
    more = re.search(r"\b(more|larger|greater|bigger)\b", example.question) is not None
    holds = (left > right) == more
    if example.answer in ("yes", "no"):
        assert (example.answer == "yes") == holds
    elif example.answer.isdigit():
        assert int(example.answer) == (left if holds else right)
    else:
        told = example.question.lower().split(str(left), 1)
        assert bool(re.search(rf"\b{example.answer.lower()}\b", told[0])) == holds


@given(seeds)
def test_dates_agree_with_the_calendar(seed: int) -> None:
    example = drawn(seed, "date")
    question = example.question.title()
    days = [datetime.date(2023, month, 1) for month in range(1, 13)]
    months = {day.strftime("%B"): day.month for day in days}
    weekdays = {(day := datetime.date(2023, 5, 1 + offset)).strftime("%A"): day for offset in range(7)}
    named = [
        datetime.date(2023, months[name], int(day))
        for name, day in re.findall(r"([A-Z][a-z]+) (\d+)", question)
        if name in months
    ]
    if len(named) == 2:
        assert int(example.answer) == (named[1] - named[0]).days
        return
    count = int(re.search(r"(\d+) Days?", question)[1])  # type: ignore[index]
    if named:
        day = named[0] + datetime.timedelta(count)
        assert example.answer == f"{day:%B} {day.day}"
        return
    start = next(day for name, day in weekdays.items() if name in question)
    back = "Before" in question or "Ago" in question
    assert example.answer == f"{start + datetime.timedelta(-count if back else count):%A}"


@given(seeds, st.sampled_from(KINDS), step_counts, st.sampled_from(TIERS))
def test_every_reply_states_its_answer(seed: int, kind: Kind, steps: int, tier: Tier) -> None:
    example = drawn(seed, kind, steps)
    reply = example.reply(tier)
    if kind == "json":
        assert json.loads(reply)["answer"] == int(example.answer)
    else:
        assert said(reply) == example.answer
    assert tier == "reasoning" or "=" not in reply


@given(seeds, st.sampled_from(TIERS))
def test_training_never_draws_what_is_held_out(seed: int, tier: Tier) -> None:
    for example in itertools.islice(training_stream(seed, tier), 50):
        assert not held_out(example.conversation)


@pytest.mark.parametrize("kind", KINDS)
def test_training_and_examination_share_no_conversation(kind: Kind) -> None:
    examined = {example.conversation for example in held_out_problems(1, 40, kind, 2)}
    trained = {example.conversation for example in itertools.islice(training_stream(7, "reasoning"), 5000)}
    assert len(examined) == 40
    assert not examined & trained


@given(st.sampled_from(KINDS), seeds)
def test_casing_and_punctuation_do_not_move_a_conversation_across_the_split(kind: Kind, seed: int) -> None:
    conversation = drawn(seed, kind).conversation
    assert held_out(conversation.lower().rstrip(".?! ")) == held_out(conversation)


@given(seeds, st.sampled_from(TIERS))
def test_the_same_seed_draws_the_same_stream(seed: int, tier: Tier) -> None:
    first, second = (list(itertools.islice(training_stream(seed, tier), 20)) for _ in range(2))
    assert first == second


@given(seeds, step_counts)
def test_held_out_problems_have_the_asked_number_of_steps(seed: int, steps: int) -> None:
    assert all(len(problem.steps) == steps for problem in held_out_problems(seed, 2, "arithmetic", steps))


def test_a_later_turn_carries_the_earlier_ones_in_its_messages() -> None:
    told = Example("small talk", "My name is Ana.", "Nice to meet you, Ana!")
    asked = Example("small talk", "What is my name?", "Your name is Ana.", history=(told,), system="Be kind.")
    assert [message["role"] for message in asked.messages("fast")] == ["system", "user", "assistant", "user"]
