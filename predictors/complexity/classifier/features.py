"""Surface features of a text that indicate its difficulty: lengths, numbers, signs and certain words."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import log1p

import numpy as np
from numpy.typing import NDArray

from predictors.complexity.classifier.tokens import Text

_OPTION = re.compile(r"^[ \t]*\(?[A-J][.):][ \t]*(\S.*)$", re.MULTILINE)
_NUMERIC = re.compile(r"[-+$€£]?\d[\d.,/^%\s]*[a-zA-Z°%/]{0,4}")
_SENTENCE = re.compile(r"[.!?](?:\s|$)")
_STATEMENT = re.compile(r"\b(?:Statement|Scenario|Premise|Case|Step) ?\d")
_STATEMENTS = frozenset(("statement", "scenario", "premise", "case", "step"))
_CAPITAL = re.compile(r"[A-Z]")
_ODD = re.compile(r"[^\x00-\x7f]")

_NUMBER_WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand"
)
_CHANGES = (
    "gives gave gets got buys bought sells sold loses lost eats ate adds added spends spent finds found takes took "
    "breaks broke arrive arrives leave leaves left join joins come comes go goes puts removes plus minus times then "
    "more fewer less half halves twice double doubles triple remain away another"
)
_TOTALS = "total altogether together each every per all sum difference average remaining rest"
_NEGATIONS = "not no never none except false incorrect least without cannot neither nor unless don't doesn't isn't"
_REASONS = "why explain prove derive show justify because therefore hence if implies suppose assume given let such"
_COMPARISONS = "larger smaller greater longer older taller higher lower bigger most same different than"
_TASKS = "write implement create generate design summarize translate rewrite list describe compose edit draft"
_CODE = "def return class import function python code array int for while print assert sql string elif lambda"
_ORDERS = "compute calculate find determine evaluate solve simplify estimate approximate value probability integral"
_ASKS = "who whom whose when where which"
_LAW = "plaintiff defendant court contract statute liable negligence tort property jurisdiction"
_SIGNS = "+ - * / = < > ^ × ÷ · ≤ ≥ √ ∑ ∫ ± % $"
_BRACES = "{ } [ ] ( ) ; _ ` \\ | #"


@dataclass(frozen=True)
class _View:
    """A text, with everything that several rules need computed once."""

    text: Text
    characters: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "characters", len(self.text.whole) or 1)

    @cached_property
    def options(self) -> list[str]:
        return _OPTION.findall(self.text.whole)

    @cached_property
    def sentences(self) -> int:
        return len(_SENTENCE.findall(self.text.whole))

    def count(self, words: frozenset[str]) -> int:
        counts = self.text.counts
        return sum([counts[word] for word in words & counts.keys()])


Rule = Callable[[_View], float]


def _counted(words: str) -> Rule:
    wanted = frozenset(words.split())
    return lambda view: log1p(view.count(wanted))


def _numeric_options(view: _View) -> float:
    found = [option for option in view.options if _NUMERIC.fullmatch(option)]
    return len(found) / (len(view.options) or 1)


def _numbered_statements(view: _View) -> float:
    # The tokens are counted already; the expression would walk the whole text for a feature that is nearly always 0.
    if _STATEMENTS.isdisjoint(view.text.counts):
        return 0.0
    return float(_STATEMENT.search(view.text.whole) is not None)


# Names and order are part of every model's file: ``files.load`` rejects one that was trained on others.
_RULES: Mapping[str, Rule] = {
    "characters": lambda view: log1p(len(view.text.whole)),
    "characters of the last turn": lambda view: log1p(len(view.text.last)),
    "user turns": lambda view: log1p(view.text.turns),
    "words": lambda view: log1p(view.text.words),
    "lines": lambda view: log1p(view.text.whole.count("\n")),
    "sentences": lambda view: log1p(view.sentences),
    "words per sentence": lambda view: log1p(view.text.words / (view.sentences + 1)),
    "characters per token": lambda view: view.characters / (len(view.text.tokens) or 1),
    "share of different tokens": lambda view: len(view.text.counts) / (len(view.text.tokens) or 1),
    "numbers": lambda view: log1p(sum(view.text.numbers.values())),
    "different numbers": lambda view: log1p(len(view.text.numbers)),
    "longest number": lambda view: float(min(max(map(len, view.text.numbers), default=0), 12)),
    "number words": _counted(_NUMBER_WORDS),
    "signs of arithmetic": _counted(_SIGNS),
    "braces": _counted(_BRACES),
    "question marks": _counted("?"),
    "commas": _counted(","),
    "share beyond ASCII": lambda view: len(_ODD.findall(view.text.whole)) / view.characters,
    "share of capitals": lambda view: len(_CAPITAL.findall(view.text.whole)) / view.characters,
    "options": lambda view: log1p(len(view.options)),
    "length of options": lambda view: log1p(sum(map(len, view.options)) / (len(view.options) or 1)),
    "share of numeric options": _numeric_options,
    "numbered statements": _numbered_statements,
    "how many": _counted("many much"),
    "changes": _counted(_CHANGES),
    "totals": _counted(_TOTALS),
    "negations": _counted(_NEGATIONS),
    "reasons": _counted(_REASONS),
    "comparisons": _counted(_COMPARISONS),
    "tasks": _counted(_TASKS),
    "code": _counted(_CODE),
    "orders": _counted(_ORDERS),
    "asks for a fact": _counted(_ASKS),
    "law": _counted(_LAW),
}

NAMES = tuple(_RULES)


def surface(text: Text) -> NDArray[np.float32]:
    """Return the value of each of ``NAMES``; counts and lengths are logarithms, so that long texts differ less."""
    view = _View(text)
    return np.array([rule(view) for rule in _RULES.values()], np.float32)
