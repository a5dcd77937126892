"""Queries on the elements of an array: ``#(path op value)`` (gjson.go: parseQuery, queryMatches)."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from switchyard.router.gjson import strings
from switchyard.router.gjson.match import matches
from switchyard.router.gjson.result import NOTHING, Result

ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TWO_CHARACTERS = ("!=", "!%", "<=", ">=")
_TRUE = Result("true", "true")
_FALSE = Result("false", "false")


@dataclass(frozen=True, slots=True)
class Query:
    """``all`` for ``#(…)#``; without ``op``, the value at ``path`` only has to exist."""

    path: str = ""
    op: str = ""
    value: str = ""
    all: bool = False

    def holds(self, found: Result) -> bool:
        """Whether the value found in an element satisfies the query."""
        wanted = self.value
        if wanted.startswith("~"):
            found, wanted = _as_truth(found, wanted[1:])
        if not found.exists:
            return False
        if not self.op:
            return True
        if found.type == "string":
            if self.op.endswith("%"):
                return matches(found.text, wanted) is (self.op == "%")
            return self.op in ORDERS and ORDERS[self.op](found.text, wanted)
        if found.type == "number":
            return self.op in ORDERS and ORDERS[self.op](found.number, strings.to_float(wanted))
        return found.type in ("true", "false") and _compares_truth(found.type == "true", self.op, wanted)


def _as_truth(found: Result, wanted: str) -> tuple[Result, str]:
    """``~true``, ``~false``, ``~null`` and ``~*`` ask whether a value counts as such; any other word finds nothing."""
    said = strings.to_bool(found.text) if found.type == "string" else None
    if wanted == "*":
        holds = found.exists
    elif wanted == "null":
        holds = found.type == "null"
    elif wanted == "true":
        holds = found.type == "true" or said is True or (found.type == "number" and found.number != 0)
    elif wanted == "false":
        holds = found.type in ("null", "false") or said is False or (found.type == "number" and found.number == 0)
    else:
        return NOTHING, ""
    return (_TRUE if holds else _FALSE), "true"


def _compares_truth(found: bool, op: str, wanted: str) -> bool:
    """False is before true; a word that is neither differs from both."""
    if op in ("=", "!="):
        return (wanted == ("true" if found else "false")) is (op == "=")
    if found:
        return op == ">=" or (op == ">" and wanted == "false")
    return op == "<=" or (op == "<" and wanted == "true")


def parse_query(path: str) -> tuple[Query, int]:
    """Parse the query at the start of ``path``; return it and its end, -1 if it is unclosed (it then asks nothing)."""
    start, end, escaped = _extent(path)
    if end < 0:
        return Query(), -1
    every = path[end + 1 : end + 2] == "#"
    if not start:
        return Query(strings.trim(path[2:end]), all=every), end + 1
    op, value = _comparison(strings.trim(path[start:end]))
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = strings.unescape(value[1:-1]) if escaped else value[1:-1]
    return Query(strings.trim(path[2:start]), op, value, every), end + 1


def _extent(path: str) -> tuple[int, int, bool]:
    """Return where the comparison begins (or 0) and the query ends (or -1), and whether a quoted part has escapes."""
    depth, start, escaped = 1, 0, False
    i = 2
    while i < len(path):
        char = path[i]
        # Of this query: an operator in a deeper bracket belongs to a query on the elements' own arrays.
        if depth == 1 and not start and char in "!=<>%":
            start = i
        elif char == "\\":
            i += 1
        elif char in "[(":
            depth += 1
        elif char in "])":
            depth -= 1
            if depth == 0:
                return start, i, escaped
        elif char == '"':
            i += 1
            while i < len(path) and path[i] != '"':
                if path[i] == "\\":
                    escaped = True
                    i += 1
                i += 1
        i += 1
    return start, -1, escaped


def _comparison(text: str) -> tuple[str, str]:
    """Operator and value; ``==`` is ``=``, and a lone ``!`` before a value is no operator."""
    if len(text) > 1:
        if text.startswith("=="):
            text = text[1:]
        elif text.startswith(_TWO_CHARACTERS):
            return text[:2], strings.trim(text[2:])
        elif text[0] == "!":
            return "", text
    return text[:1], strings.trim(text[1:])
