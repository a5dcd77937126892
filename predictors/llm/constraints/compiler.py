"""Which JSON schemas, regular expressions and grammars the engine can constrain a text by, and at what cost.

They are compiled here for a vocabulary of single bytes: what fails there fails in the engine, where it would be a 500.
What the compiler takes long for is rejected before it is compiled.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import monotonic
from typing import Any

import xgrammar

from predictors.llm.constraints.constraint import Constraint, Fault
from predictors.llm.constraints.costs import CACHED, costs_of
from predictors.llm.constraints.walk import children, leads_to_itself, nodes

MAX_CHARACTERS = 120_000  # of one constraint; OpenAI's number for the strings of a schema
MAX_COST = 500.0  # of all constraints of a request: half a second of one core
_TOO_DEAR = (
    f"compiling it would cost {{cost:.0f}} units, and {MAX_COST:.0f} are allowed; use fewer or shorter properties, "
    "values, length limits, ranges and quantifiers"
)
_MATCHES_NOTHING = "no text matches it, not even an empty one"  # on which the engine fails
_LOCATING_SECONDS = 1.0  # a fault far within a large schema is then said without its place
_ORIGIN = re.compile(r"^\[[\d:]+\] \S+: ")  # of a message of the compiler: its clock and source

_BYTES = xgrammar.TokenizerInfo(
    [bytes([value]) for value in range(256)] + [b"<end>"],
    vocab_type=xgrammar.VocabType.RAW,
    vocab_size=257,
    stop_token_ids=[256],
)


class ConstraintCompiler:
    """Finds what is wrong with constraints; ``ignores`` says whether the engine would ignore a keyword of a schema."""

    def __init__(self, ignores: Callable[[dict[str, Any]], bool]) -> None:
        self._ignores = ignores
        self._fault = lru_cache(maxsize=CACHED)(self._find_fault)

    def faults(self, constraints: Iterable[Constraint]) -> list[Fault | None]:
        """Return for each constraint what is wrong with it, or None; too dear beside those before it is wrong too.

        Compiles those that it has not seen: call it where it may take half a second.
        """
        found: list[Fault | None] = []
        total = 0.0
        for constraint in constraints:
            if (size := len(constraint.text)) > MAX_CHARACTERS:
                reason = f"it has {size} characters, and {MAX_CHARACTERS} are allowed"
                found.append(Fault(path="", keyword="", reason=reason))
                continue
            costs = costs_of(constraint)
            cost = sum(costs.values())
            if total + cost > MAX_COST:
                keyword = max(costs, key=costs.__getitem__)
                found.append(Fault(path="", keyword=keyword, reason=_TOO_DEAR.format(cost=total + cost)))
                continue
            total += cost
            found.append(self._fault(constraint))
        return found

    def _find_fault(self, constraint: Constraint) -> Fault | None:
        if constraint.kind == "words":
            return None
        if constraint.kind == "grammar":
            # What else is wrong with one, and with one in Lark's language, the engine says itself, by the line.
            reason = _error(lambda: _compiler().compile_grammar(constraint.text))
            return Fault(path="", keyword="", reason=reason) if reason == _MATCHES_NOTHING else None
        if constraint.kind == "regex":
            reason = _error(lambda: _compiler().compile_regex(constraint.text))
            return Fault(path="", keyword="", reason=reason) if reason else None
        schema = json.loads(constraint.text)
        for path, node in nodes(schema):
            if "$ref" in node and leads_to_itself(node, schema):
                return Fault(path=path, keyword="$ref", reason="it leads to itself without anything between")
        if reason := _compile_error(schema):
            return _located(schema, reason, _compile_error)
        if constraint.exact and (reason := self._ignored(schema)):
            return _located(schema, reason, self._ignored)
        return None

    def _ignored(self, schema: dict[str, Any]) -> str:
        return "the engine cannot follow this keyword here" if self._ignores(schema) else ""


def _compiler() -> Any:
    # With its cache, as in the engine: some grammars fail only there.
    return xgrammar.GrammarCompiler(_BYTES, max_threads=1, cache_enabled=True)


def _error(compile_: Callable[[], Any]) -> str:
    try:
        compiled = compile_()
    except Exception as err:  # whatever its library raises
        words = _ORIGIN.sub("", " ".join(str(err).split()))
        return "the engine cannot compile it" if "Check failed" in words else words
    return "" if _can_begin(compiled) else _MATCHES_NOTHING


def _can_begin(compiled: Any) -> bool:
    """Return whether some text goes on where the engine first has a choice; a dead end after that is not looked for."""
    matcher, allowed = xgrammar.GrammarMatcher(compiled), xgrammar.allocate_token_bitmask(1, _BYTES.vocab_size)
    matcher.accept_string(matcher.find_jump_forward_string())
    if matcher.is_terminated():
        return True
    matcher.fill_next_token_bitmask(allowed)
    return bool(allowed.any())


def _compile_error(schema: Any) -> str:
    options: dict[str, Any] = {"any_whitespace": False, "separators": (",", ":")}
    return _error(lambda: _compiler().compile_json_schema(json.dumps(schema), **options))


def _located(schema: dict[str, Any], reason: str, check: Callable[[Any], str]) -> Fault:
    """Find the innermost part of a schema that fails for this reason, and the keyword without which it does not."""
    end = monotonic() + _LOCATING_SECONDS
    definitions = {name: schema[name] for name in ("$defs", "definitions") if name in schema}

    def fails(part: dict[str, Any]) -> bool:
        return monotonic() < end and check({**definitions, **part}) == reason

    path, node = "", schema
    while deeper := next((found for found in children(node) if fails(found[1])), None):
        step, node = deeper
        path = f"{path}.{step}" if path else step
    keys = sorted(node, key="type".__eq__)  # without its type, many a keyword means nothing
    without = ((key, {name: value for name, value in node.items() if name != key}) for key in keys)
    keyword = next((key for key, rest in without if not fails(rest)), "")
    return Fault(path=path, keyword=keyword if monotonic() < end else "", reason=reason)
