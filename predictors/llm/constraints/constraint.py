"""What a text must follow, and what can be wrong with that."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a schema cannot be used: ``path`` leads to the part at fault, ``keyword`` is the word in it, if one is."""

    path: str
    keyword: str
    reason: str

    def __str__(self) -> str:
        at = ".".join(part for part in (self.path, self.keyword) if part)
        return f"{at}: {self.reason}" if at else self.reason


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """What a text must follow: a JSON schema (as JSON), a regular expression, an EBNF or Lark grammar, or ``words``.

    Words are what a text may have to repeat: choices, tags, names of tools.

    The engine ignores some keywords of schemas that it cannot follow; with ``exact`` each of them is a fault.
    """

    kind: Literal["schema", "regex", "grammar", "words"]
    text: str
    exact: bool = True
