"""Sums and word problems that take an exact number of steps."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from predictors.llm.training.example import Example
from predictors.llm.training.wordings import (
    BOXES,
    DOUBLE,
    EXPRESSION,
    HALVE,
    PACKED,
    PACKED_MORE,
    TOPICS,
    WORD_OF,
    Cast,
)

LIMIT = 999


@dataclass
class Ledger:
    """A running number and the lines that led to it."""

    total: int
    steps: list[str] = field(default_factory=list)

    def apply(self, operator: str, operand: int) -> int:
        """Write one step down and move the running number."""
        before = self.total
        self.total = compute(before, operator, operand)
        self.steps.append(f"{before} {operator} {operand} = {self.total}")
        return self.total

    def grow_or_shrink(self, rng: random.Random, top: int) -> tuple[str, int]:
        """Draw and apply one addition or subtraction that stays between 0 and top."""
        room = top - self.total
        adds = room > 0 and (self.total == 0 or rng.random() < 0.5)
        operator, operand = ("+", _at_most(rng, room)) if adds else ("-", _at_most(rng, self.total))
        self.apply(operator, operand)
        return operator, operand


def compute(left: int, operator: str, right: int) -> int:
    """Return the exact result of one step."""
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return left // right


def _at_most(rng: random.Random, top: int) -> int:
    return rng.randint(min(2, top), top)  # one thing would need the singular


def _top(rng: random.Random) -> int:
    return rng.choice((20, 100, 100, 100, LIMIT))


def _expression(rng: random.Random, count: int) -> Example:
    top = _top(rng)
    ledger = Ledger(rng.randint(1, top - 1))
    parts = [str(ledger.total)]
    if rng.random() < 0.25:
        ledger.total = rng.randint(2, 12)
        parts = [str(ledger.total), "*", str(factor := rng.randint(2, 12))]
        ledger.apply("*", factor)
        top = max(top, 150)
    while len(ledger.steps) < count:
        parts.extend(str(part) for part in ledger.grow_or_shrink(rng, top))
    if rng.random() < 0.4:
        parts = [WORD_OF.get(part, part) for part in parts]
    question = rng.choice(EXPRESSION).format(e=" ".join(parts))
    return Example("arithmetic", question, str(ledger.total), tuple(ledger.steps))


def _story(rng: random.Random, count: int) -> Example:
    topic, cast, top = rng.choice(TOPICS), Cast.draw(rng), _top(rng)
    packs = "{o}" in topic.ask[0] and rng.random() < 0.25
    if packs:
        ledger = Ledger(rng.randint(2, 12))
        each = rng.randint(2, 12)
        sentences = [cast.say(rng, PACKED, j=ledger.total, k=each)]
        ledger.apply("*", each)
        top = max(top, 150)
    else:
        ledger = Ledger(rng.randint(2, top - 1))
        sentences = [cast.say(rng, topic.start, k=ledger.total)]
    while (left := count - len(ledger.steps)) > 0:
        sentences.append(_event(rng, ledger, cast, top, left, (topic.gain, topic.loss), packs))
    ask = cast.say(rng, topic.ask)
    if rng.random() < 0.12:
        sentences.insert(0, ask)
    else:
        sentences.append(ask)
    return Example("arithmetic", " ".join(sentences), str(ledger.total), tuple(ledger.steps))


def _event(
    rng: random.Random,
    ledger: Ledger,
    cast: Cast,
    top: int,
    left: int,
    frames: tuple[tuple[str, ...], tuple[str, ...]],
    packs: bool,
) -> str:
    draw = rng.random()
    if draw < 0.06 and 0 < ledger.total * 2 <= top:
        ledger.apply("*", 2)
        return rng.choice(DOUBLE)
    if draw < 0.12 and ledger.total and ledger.total % 2 == 0:
        ledger.apply("/", 2)
        return rng.choice(HALVE)
    if packs and draw < 0.3 and left >= 2 and ledger.total + 144 <= LIMIT:
        packed = Ledger(rng.randint(2, 12))
        sentence = cast.say(rng, PACKED_MORE, j=packed.total, k=(each := rng.randint(2, 12)))
        packed.apply("*", each)
        ledger.steps.extend(packed.steps)
        ledger.apply("+", packed.total)
        return sentence
    operator, operand = ledger.grow_or_shrink(rng, top)
    return cast.say(rng, frames[0] if operator == "+" else frames[1], k=operand)


def _sum_of_shares(rng: random.Random, count: int) -> Example:
    cast, top = Cast.draw(rng), _top(rng)
    people = [cast.n, cast.m, cast.third][: count + 1]
    shares = [rng.randint(1, top // 3) for _ in people]
    ledger = Ledger(shares[0])
    for share in shares[1:]:
        ledger.apply("+", share)
    held = [f"{who} has {share}" for who, share in zip(people, shares, strict=True)]
    held[0] += f" {cast.o}"
    ask = rng.choice((f"How many {cast.o} do they have together?", "How many is that in all?"))
    question = f"{', '.join(held[:-1])} and {held[-1]}. {ask}"
    return Example("arithmetic", question, str(ledger.total), tuple(ledger.steps))


def _relation(rng: random.Random, count: int) -> Example:
    cast, top = Cast.draw(rng), _top(rng)
    people = [cast.n, cast.m, cast.third]
    ledger = Ledger(first := rng.randint(2, top // 2))
    told = [f"{cast.n} has {first} {cast.o}."]
    for before, who in itertools.pairwise(people[: count + 1]):
        operator, operand = ledger.grow_or_shrink(rng, top // 2)
        told.append(f"{who} has {operand} {'more' if operator == '+' else 'fewer'} than {before}.")
    if count == 2 and rng.random() < 0.5:  # two people, and their sum
        told.pop()
        ledger = Ledger(first, ledger.steps[:1])
        ledger.apply("+", int(ledger.steps[0].split(" = ")[1]))
        told.append("How many do they have together?")
    else:
        told.append(f"How many {cast.o} does {people[count]} have?")
    return Example("arithmetic", " ".join(told), str(ledger.total), tuple(ledger.steps))


def _price(rng: random.Random, count: int) -> Example:
    cast = Cast.draw(rng)
    each, pieces = rng.randint(2, 12), rng.randint(2, 12)
    ledger = Ledger(pieces)
    cost = ledger.apply("*", each)
    thing = rng.choice(("pen", "book", "ticket", "card", "lamp"))
    told = [f"A {thing} costs {each} coins.", f"{cast.n} buys {pieces} of them."]
    if count == 1:
        told.append(rng.choice((f"How many coins does {cast.n} pay?", "How much is that?")))
    else:
        paid = rng.randint(cost, max(cost + 10, 200))
        ledger.total = paid
        ledger.apply("-", cost)
        told.append(f"{cast.n} pays with {paid} coins.")
        told.append(rng.choice((f"How many coins does {cast.n} get back?", "How much is the change?")))
    return Example("arithmetic", " ".join(told), str(ledger.total), tuple(ledger.steps))


def _boxes(rng: random.Random, _: int) -> Example:
    j, k, box = rng.randint(2, 12), rng.randint(2, 12), rng.choice(BOXES)
    cast = Cast.draw(rng)
    question = f"How many {cast.o} are in {j} {box} if each holds {k}?"
    return Example("arithmetic", question, str(j * k), (f"{j} * {k} = {j * k}",))


def arithmetic(rng: random.Random, steps: int) -> Example:
    """Draw a sum or a word problem that takes exactly so many steps."""
    forms: list[Callable[[random.Random, int], Example]] = [_expression, _story, _story]
    if steps <= 2:
        forms += [_sum_of_shares, _relation, _price]
    if steps == 1:
        forms += [_expression, _boxes]
    return rng.choice(forms)(rng, steps)
