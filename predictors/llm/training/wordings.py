"""The words that the problems are told in: names, things, topics and sentence frames."""

from __future__ import annotations

import random
from dataclasses import dataclass

_NAMES = """
Ana Ben Carla David Emma Felix Grace Hugo Ines Jonas Kim Lena Marco Nina Omar Paula Quentin Rosa Sam Tara Umar
Vera Will Xenia Yusuf Zoe Alice Bruno Chloe Diego Eva Finn Gita Hana Ivan Julia Karl Lucia Mia Noah Olga Peter
Ravi Sofia Tom Uma Victor Wendy Aisha Bob Clara Dan Elif Frida Greta Henry Isla Jack Maria Leo
"""
NAMES = tuple(_NAMES.split())
_THINGS = """
apples pens books coins stamps cards marbles shells stones flowers cookies candles tickets eggs oranges balloons
stickers pencils keys buttons photos bottles lamps chairs seeds
"""
THINGS = tuple(_THINGS.split())
BOXES = ("boxes", "bags", "baskets", "packs", "jars", "crates")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = "January February March April May June July August September October November December"
MONTHS = dict(zip(_MONTHS.split(), (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a friendly assistant. Answer briefly.",
    "Answer the question of the user.",
    "You help customers with sums, dates and questions.",
    "Be short and polite.",
)


@dataclass(frozen=True)
class Topic:
    """One setting of a story: how it starts, how its number grows and shrinks, and how it is asked for."""

    start: tuple[str, ...]
    gain: tuple[str, ...]
    loss: tuple[str, ...]
    ask: tuple[str, ...]


# {n} name, {m} another name, {o} things, {k} the number of the sentence.
TOPICS = (
    Topic(
        ("{n} has {k} {o}.", "{n} starts with {k} {o}.", "There are {k} {o} in the room of {n}.", "{n} owns {k} {o}."),
        (
            "{n} buys {k} more.",
            "{m} gives {k} more to {n}.",
            "{n} finds {k} more {o}.",
            "{n} gets {k} {o} from {m}.",
            "{k} more are brought by {m}.",
            "{n} receives {k} {o}.",
        ),
        (
            "{n} gives {k} to {m}.",
            "{n} loses {k} {o}.",
            "{k} of them are sold.",
            "{m} takes {k} {o} from {n}.",
            "{k} {o} are given away.",
            "{n} sells {k} {o}.",
        ),
        (
            "How many {o} does {n} have now?",
            "How many {o} are left?",
            "How many {o} does {n} have in the end?",
            "What is the number of {o} now?",
        ),
    ),
    Topic(
        ("A bus has {k} people in it.", "{k} people ride on a bus.", "A train leaves with {k} people."),
        ("{k} people get on.", "At the next stop {k} more get on.", "{k} people enter with {m}."),
        ("{k} people get off.", "At the next stop {k} of them get off.", "{k} people leave with {m}."),
        ("How many people are there now?", "How many people are left?", "How many people ride on?"),
    ),
    Topic(
        ("A shop has {k} {o}.", "{k} {o} are stored in a shop.", "The shop of {n} opens with {k} {o}."),
        ("A truck brings {k} {o}.", "{k} more {o} are delivered.", "The shop orders {k} more."),
        ("{k} {o} are sold.", "The shop sells {k} to {m}.", "{m} buys {k} of them.", "{k} {o} are sent back."),
        ("How many {o} does the shop have now?", "How many {o} are in the shop?", "How many {o} are left?"),
    ),
    Topic(
        ("A tank holds {k} litres of water.", "There are {k} litres in a tank."),
        ("{n} adds {k} litres.", "{k} litres are added.", "Rain adds {k} more litres."),
        ("{n} uses {k} litres.", "{k} litres are taken out.", "The tank loses {k} litres."),
        ("How many litres are in the tank now?", "How many litres are left?"),
    ),
    Topic(
        ("{n} has {k} points in a game.", "{n} begins a game with {k} points."),
        ("{n} wins {k} points.", "{k} points are added.", "{n} scores {k} more."),
        ("{n} loses {k} points.", "{k} points are taken by {m}.", "A mistake costs {k} points."),
        ("How many points does {n} have now?", "What is the score of {n}?", "How many points are left?"),
    ),
)
DOUBLE = ("Then the number doubles.", "Then it is doubled.")
HALVE = ("Then half of them are taken away.", "Then the number is halved.")
PACKED = ("{n} has {j} {b} with {k} {o} each.", "There are {j} {b} with {k} {o} in each.", "{j} {b} hold {k} {o} each.")
PACKED_MORE = ("{n} gets {j} {b} with {k} {o} each.", "Then {j} {b} with {k} {o} each arrive.")
WORD_OF = {"+": "plus", "-": "minus", "*": "times"}
EXPRESSION = ("What is {e}?", "Compute {e}.", "How much is {e}?", "{e} = ?", "Can you work out {e}?", "Calculate {e}.")


@dataclass
class Cast:
    """The people and things of one problem, drawn once so that its sentences agree."""

    n: str
    m: str
    third: str
    o: str
    b: str

    @classmethod
    def draw(cls, rng: random.Random) -> Cast:
        """Draw three different people, a thing and a container."""
        n, m, third = rng.sample(NAMES, 3)
        return cls(n, m, third, rng.choice(THINGS), rng.choice(BOXES))

    def say(self, rng: random.Random, frames: tuple[str, ...], **numbers: int | str) -> str:
        """Fill one of the frames."""
        return rng.choice(frames).format(n=self.n, m=self.m, o=self.o, b=self.b, **numbers)


def coined_name(rng: random.Random) -> str:
    """Return a name that no list holds, so that echoing a name is copying and not recall."""
    syllables = ("ba", "ko", "li", "mu", "ne", "ra", "so", "ti", "va", "ze", "do", "fi", "gu", "ja", "pe", "shi")
    return "".join(rng.choices(syllables, k=rng.randint(2, 3))).capitalize()
