"""Checks of a condition that need no request body."""

import re
from dataclasses import dataclass

from switchyard.router.gjson import Condition
from switchyard.router.gjson.path import MODIFIERS, selectors
from switchyard.router.gjson.query import parse_query
from switchyard.router.graph.spec import Severity

_PROBES = (b"{}", b"[]", b'""', b"0", b"null")
_KEYS = re.compile(r"[^#()\[\]{}|!*?]+")
_QUERY_START = re.compile(r"(?:^|(?<=[.|]))#[(\[]")
_COMPARISON = re.compile(r"[=<>]=|!=|(?<!\\)[=<>]")  # a lone one after a backslash is part of a key
_EXAMPLE = '[@this].#(model=="chat")'


@dataclass(frozen=True, slots=True)
class Mistake:
    """Why a condition does not mean what it seems to, and how to write it."""

    severity: Severity
    text: str


def always_holds(condition: Condition) -> bool:
    """Whether the condition holds for every JSON body."""
    return all(condition.holds(probe) for probe in _PROBES)


def is_default(condition: Condition) -> bool:
    """Whether the condition catches every remaining request: a path without a query, or one that always holds."""
    return always_holds(condition) or _KEYS.fullmatch(condition.path) is not None


def mistake_in(path: str) -> Mistake | None:
    """Return the first likely mistake in a condition."""
    if path.startswith("$"):
        text = f"its condition {path!r} is JSONPath; conditions are GJSON paths, such as {_EXAMPLE}"
        return Mistake("warning", text)
    if path[:1] in ("[", "{") and len(path) > 1:
        cut = selectors(path)
        if cut is None:
            return Mistake("error", f"its condition {path!r} has a {path[0]} that is not closed; close it")
        if not cut[1]:
            text = f"its condition {path!r} builds a value, so it holds for every body; ask it something: {_EXAMPLE}"
            return Mistake("warning", text)
    outside = path
    while query := _QUERY_START.search(outside):
        _, end = parse_query(outside[query.start() :])
        if end < 0:
            return Mistake("error", f"its condition {path!r} has a query that is not closed; close its bracket")
        # With something in its place, because what stands before and after it is not one key.
        outside = outside[: query.start()] + "_" + outside[query.start() + end :]
    return _mistake_outside_queries(path, outside)


def _mistake_outside_queries(path: str, outside: str) -> Mistake | None:
    modifier = re.match(r"@([^.|:]*)", outside)
    if modifier and modifier[1] not in MODIFIERS:
        known = ", ".join(f"@{name}" for name in sorted(MODIFIERS))
        return Mistake("warning", f"its condition {path!r} begins with no modifier but a key; modifiers are {known}")
    if not modifier and outside[:1] not in "[{!" and _COMPARISON.search(outside):
        text = f"its condition {path!r} compares outside a query, so it names a key and never holds; write {_EXAMPLE}"
        return Mistake("error", text)
    return None
