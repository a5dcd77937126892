"""What compiling a constraint costs, estimated before it is paid.

The unit is about a millisecond on one core, as measured with xgrammar 0.2.8 and a vocabulary of 1,024 tokens.
"""

import json
import re
from collections import defaultdict
from functools import lru_cache
from typing import Any

from predictors.llm.constraints.constraint import Constraint
from predictors.llm.constraints.walk import nodes

CACHED = 256  # constraints, whose texts are bounded: clients send the same ones again and again
_OBJECT = 0.1
_PROPERTY_SQUARED = 0.001  # any of them may be left out
_CHARACTER = 0.02  # up to the 25,000 that are allowed so; a text of 100,000 takes four seconds
_CLASS = 0.13  # of characters, such as any at all: those of three and four bytes have many states
_LENGTH = 0.3
_DIGIT = 0.05
_QUANTIFIER_SQUARED = 0.2
_LENGTHS_COUNTED = 255  # what is repeated more often is compiled as a counter

_QUANTIFIER = re.compile(r"[?*+{]")
_WIDE = re.compile(r"\.|\[|\\[wWSDpP]")
_REPEATED = re.compile(r"\{(?:\d*,)?(\d+),?\}")
_RULE = re.compile(r"::=|\n\s*[?!]?[\w.]+\s*:")


@lru_cache(maxsize=CACHED)
def costs_of(constraint: Constraint) -> dict[str, float]:
    """Return the cost of a constraint by the keyword that causes it."""
    if constraint.kind == "schema":
        return _schema_costs(json.loads(constraint.text))
    if constraint.kind == "words":
        return {"": _CHARACTER * len(constraint.text)}
    rules = _RULE.split(constraint.text) if constraint.kind == "grammar" else [constraint.text]
    return {"": sum(map(_regex_cost, rules))}


def _schema_costs(schema: Any) -> dict[str, float]:
    """Return the cost of a schema by the keyword that causes it; what is the same is compiled once."""
    costs: dict[str, float] = defaultdict(float)
    lengths, ranges, patterns = set(), set(), set()
    for _, node in nodes(schema):
        properties = node.get("properties")
        names = properties if isinstance(properties, dict) else {}
        layers = 1 + min(max(_numbers(node, "minProperties", "maxProperties"), default=0), len(names))
        costs["properties"] += _OBJECT + _PROPERTY_SQUARED * len(names) ** 2 * layers
        costs["properties"] += _CHARACTER * sum(map(len, names))
        for key in ("enum", "const"):
            costs[key] += _CHARACTER * len(json.dumps(node[key])) if key in node else 0
        lengths.add(_numbers(node, "minLength", "maxLength"))
        ranges.add(_numbers(node, "minimum", "maximum"))
        for pattern in [node.get("pattern"), *(node.get("patternProperties") or ())]:
            if isinstance(pattern, str):
                patterns.add(pattern)
    costs["maxLength"] = _LENGTH * sum(min(max(bounds, default=0), _LENGTHS_COUNTED) for bounds in lengths)
    costs["minimum"] = _DIGIT * sum(len(f"{min(value, 1e300):f}") for bounds in ranges for value in bounds)
    costs["pattern"] = sum(map(_regex_cost, patterns))
    return costs


def _regex_cost(pattern: str) -> float:
    repeated = sum(min(int(number[-9:]), _LENGTHS_COUNTED) for number in _REPEATED.findall(pattern))
    quantifiers = len(_QUANTIFIER.findall(pattern))
    classes = len(_WIDE.findall(pattern))
    return _CHARACTER * len(pattern) + _CLASS * classes + _LENGTH * repeated + _QUANTIFIER_SQUARED * quantifiers**2


def _numbers(node: dict[str, Any], *keys: str) -> tuple[float, ...]:
    return tuple(value for key in keys if isinstance(value := node.get(key), int | float))
