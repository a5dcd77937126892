"""Comparisons, dates and small talk: what the models can do besides sums."""

from __future__ import annotations

import random

from predictors.llm.training.arithmetic import LIMIT
from predictors.llm.training.example import Example
from predictors.llm.training.wordings import MONTHS, NAMES, WEEKDAYS, Cast, coined_name

ABOUT = (
    "I am a small demo assistant of Switchyard.",
    ("Who are you?", "What are you?", "What is your name?", "Tell me who you are.", "Are you a robot?"),
)
ABILITY = (
    "I can solve small sums and word problems, compare numbers, count days and chat a little.",
    ("What can you do?", "How can you help me?", "Help!", "What do you know?", "What are you good at?"),
)
THANKS = ("You are welcome!", ("Thanks!", "Thank you!", "Thank you very much!", "Great, thanks!", "Many thanks!"))
FEELING = (
    "I am fine, thank you. How can I help?",
    ("How are you?", "How are you today?", "How is it going?", "Are you well?", "How do you do?"),
)
FAREWELL = ("Goodbye!", ("Bye!", "Goodbye!", "See you later!", "Good night!", "Have a nice day!", "See you!"))
PRAISE = ("I am glad that I could help.", ("Well done!", "Good job!", "That is right.", "Perfect!", "You are great!"))
JOKE = (
    "Why was six afraid of seven? Because seven eight nine!",
    ("Tell me a joke.", "Do you know a joke?", "Make me laugh.", "Say something funny."),
)
GREETING = ("Hello! How can I help you?", ("Hello!", "Hi!", "Hey!", "Good morning!", "Good evening!", "Hello there!"))
TALK = (ABOUT, ABILITY, THANKS, FEELING, FAREWELL, PRAISE, JOKE, GREETING)
OPENERS = ("Hello!", "Hi!", "Hey,", "Good morning!", "Please,", "So,", "Okay,", "Well,")
CLOSERS = ("Please.", "I want to know.", "Thank you.", "I am curious.", "Tell me.")
BEYOND = "I do not know that. I can only do small sums, dates and small talk."
BEYOND_FRAMES = (
    "What is the capital of {x}?",
    "Tell me about {x}.",
    "Write a poem about {x}.",
    "Who invented {x}?",
    "Why is {x} so popular?",
    "Translate {x} into French.",
    "How do I cook {x}?",
    "Write code for {x}.",
    "What do you think of {x}?",
    "Explain {x} to me.",
)
_BEYOND_TOPICS = (
    "France, Spain, Japan, music, love, the sea, the moon, football, history, physics, rice, cats, dogs, "
    "the weather, politics, the internet, computers, trees, a web server, soup, art"
)
BEYOND_TOPICS = tuple(_BEYOND_TOPICS.split(", "))
NAMED = (
    (("Say hello to {x}.", "Please say hello to {x}.", "Greet {x}."), "Hello, {x}!"),
    (("Say goodbye to {x}.", "Please say goodbye to {x}."), "Goodbye, {x}!"),
    (
        ("My name is {x}.", "Hello, I am {x}.", "Hi, my name is {x}.", "I am {x}, nice to meet you."),
        "Nice to meet you, {x}!",
    ),
    (("Thank {x} for the help.", "Say thanks to {x}."), "Thank you, {x}!"),
    (("Wish {x} a good day.", "Wish {x} a nice day."), "Have a nice day, {x}!"),
)


def comparison(rng: random.Random) -> Example:
    """Draw a question about which of two numbers is larger."""
    top = rng.choice((20, 100, LIMIT, LIMIT))
    left, right = rng.sample(range(1, top + 1), 2)
    if rng.random() < 0.3:  # close numbers, also the same digits turned round
        right = int(str(left)[::-1]) if rng.random() < 0.5 else left + rng.choice((-1, 1))
        right = right if right != left else left + 1
    more, cast = rng.random() < 0.5, Cast.draw(rng)
    holds = (left > right) == more
    winner, loser = (left, right) if holds else (right, left)
    sign = ">" if more else "<"
    form = rng.randrange(3)
    if form == 0:
        word = rng.choice(("more", "larger", "greater", "bigger") if more else ("less", "smaller"))
        question, answer = f"Is {left} {word} than {right}?", "yes" if holds else "no"
        verdict = f"{left} {sign} {right}? {left} {'>' if left > right else '<'} {right}"
    elif form == 1:
        word = rng.choice(("larger", "greater", "bigger", "more") if more else ("smaller", "less"))
        question, answer = f"Which is {word}, {left} or {right}?", str(winner)
        verdict = f"{winner} {sign} {loser}"
    else:
        told = rng.choice(("{n} has {a} {o} and {m} has {b}.", "{n} has {a} {o}. {m} has {b} {o}."))
        word = "more" if more else "fewer"
        question = told.format(n=cast.n, m=cast.m, o=cast.o, a=left, b=right)
        question += rng.choice((f" Who has {word}?", f" Who has {word} {cast.o}?"))
        answer, other = (cast.n, cast.m) if holds else (cast.m, cast.n)
        verdict = f"{answer} {winner} {sign} {other} {loser}"
    # The deciding digits first, then the side that was asked for: each line takes one look at the line before.
    return Example("comparison", question, answer, (_deciding_digits(left, right), verdict))


def _deciding_digits(left: int, right: int) -> str:
    a, b = str(left), str(right)
    sign = ">" if left > right else "<"
    if len(a) != len(b):
        return f"{len(a)} {sign} {len(b)} digits"
    first, second = next((x, y) for x, y in zip(a, b, strict=True) if x != y)
    return f"{first} {sign} {second}"


def date(rng: random.Random) -> Example:
    """Draw a question about weekdays or days of a month."""
    return rng.choice((_weekday, _days_between, _day_after))(rng)


def _weekday(rng: random.Random) -> Example:
    start, days, after = rng.randrange(7), rng.randint(1, 30), rng.random() < 0.6
    side = "after" if after else "before"
    answer = WEEKDAYS[(start + (days if after else -days)) % 7]
    day, noun = WEEKDAYS[start], "day" if days == 1 else "days"
    frames = [f"What day is {days} {noun} {side} {day}?", f"Which weekday is {days} {noun} {side} {day}?"]
    if after:
        frames.append(f"Today is {day}. What day is it in {days} {noun}?")
        frames.append(f"If today is {day}, what day is in {days} {noun}?")
    else:
        frames.append(f"Today is {day}. What day was it {days} {noun} ago?")
    weeks = (f"{days} - {days // 7 * 7} = {days % 7}",) if days >= 7 else ()
    step = 1 if after else -1
    counted = (f"{n} {WEEKDAYS[(start + step * n) % 7]}" for n in range(1, days % 7 + 1))
    return Example("date", rng.choice(frames), answer, (*weeks, ", ".join((day, *counted))))


def _length(month: str) -> str:
    return f"{month} has {MONTHS[month]} days"


def _days_between(rng: random.Random) -> Example:
    (month, length), turn = rng.choice(list(MONTHS.items())[:11]), rng.random() < 0.5
    if turn:
        first, second = rng.randint(length - 15, length), rng.randint(1, 15)
        later = list(MONTHS)[list(MONTHS).index(month) + 1]
        rest = length - first
        steps: tuple[str, ...] = (
            _length(month),
            f"{length} - {first} = {rest}",
            f"{rest} + {second} = {rest + second}",
        )
        answer = rest + second
    else:
        first, second = sorted(rng.sample(range(1, length + 1), 2))
        later, answer = month, second - first
        steps = (f"{second} - {first} = {answer}",)
    frames = ("How many days from {a} to {b}?", "How many days are there between {a} and {b}?")
    return Example("date", rng.choice(frames).format(a=f"{month} {first}", b=f"{later} {second}"), str(answer), steps)


def _day_after(rng: random.Random) -> Example:
    month, length = rng.choice(list(MONTHS.items())[:11])
    first, days = rng.randint(1, length), rng.randint(2, 20)
    steps, day = [_length(month), f"{first} + {days} = {first + days}"], first + days
    if day > length:
        steps.append(f"{day} - {length} = {day - length}")
        month_then, day = list(MONTHS)[list(MONTHS).index(month) + 1], day - length
    else:
        month_then = month
    frames = ("What date is {d} days after {a}?", "Which date is {d} days after {a}?")
    question = rng.choice(frames).format(d=days, a=f"{month} {first}")
    return Example("date", question, f"{month_then} {day}", tuple(steps))


def small_talk(rng: random.Random, problem: Example) -> Example:
    """Draw a piece of chat, sometimes as a later turn after a name was told or a problem solved."""
    form = rng.random()
    if form < 0.25:
        return _phrase(rng)
    if form < 0.6:
        return _named(rng)
    if form < 0.72:
        frame, topic = rng.choice(BEYOND_FRAMES), rng.choice((*BEYOND_TOPICS, coined_name(rng)))
        return Example("small talk", frame.format(x=topic), BEYOND)
    if form < 0.8:
        return _counting(rng)
    return _later_turn(rng, problem)


def _phrase(rng: random.Random) -> Example:
    answer, phrases = rng.choice(TALK)
    question = rng.choice(phrases)
    if rng.random() < 0.4:
        question = f"{rng.choice(OPENERS)} {question}"
    if rng.random() < 0.2 and answer in (ABOUT[0], ABILITY[0], FEELING[0], JOKE[0]):
        question = f"{question} {rng.choice(CLOSERS)}"
    return Example("small talk", question, answer)


def _named(rng: random.Random) -> Example:
    frames, answer = rng.choice(NAMED)
    name = rng.choice(NAMES) if rng.random() < 0.5 else coined_name(rng)
    return Example("small talk", rng.choice(frames).format(x=name), answer.format(x=name))


def _counting(rng: random.Random) -> Example:
    first = 1 if rng.random() < 0.5 else rng.randint(2, 80)
    last = first + rng.randint(2, 12)
    question = rng.choice(("Count from {a} to {b}.", "Please count from {a} to {b}.")).format(a=first, b=last)
    return Example("small talk", question, ", ".join(map(str, range(first, last + 1))) + ".")


def _later_turn(rng: random.Random, problem: Example) -> Example:
    if rng.random() < 0.5:
        name = rng.choice(NAMES) if rng.random() < 0.5 else coined_name(rng)
        told = Example("small talk", rng.choice(NAMED[2][0]).format(x=name), f"Nice to meet you, {name}!")
        asked = rng.choice(("What is my name?", "Who am I?", "Do you know my name?", "Do you remember my name?"))
        return Example("small talk", asked, f"Your name is {name}.", history=(told,))
    answer, phrases = rng.choice((THANKS, PRAISE, FAREWELL, ABILITY, ABOUT))
    return Example("small talk", rng.choice(phrases), answer, history=(problem,))
