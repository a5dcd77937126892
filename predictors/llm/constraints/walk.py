"""The schemas within a JSON schema, and what a ``$ref`` leads to."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

# Where schemas lie in a schema.
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else")
_IN_PLACE = ("allOf", "anyOf", "oneOf")  # these describe the same value as the schema that they are in


def children(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schemas directly within a schema, each with the path that leads to it."""
    for name in _MAPS:
        value = node.get(name)
        for key, child in value.items() if isinstance(value, dict) else ():
            if isinstance(child, dict):
                yield f"{name}.{key}", child
    for name in _LISTS:
        value = node.get(name)
        for index, child in enumerate(value if isinstance(value, list) else ()):
            if isinstance(child, dict):
                yield f"{name}[{index}]", child
    for name in _SINGLE:
        if isinstance(child := node.get(name), dict):
            yield name, child


def nodes(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema within a schema with its path."""
    waiting = [("", schema)] if isinstance(schema, dict) else []
    while waiting:
        path, node = waiting.pop()
        yield path, node
        waiting += [(f"{path}.{step}" if path else step, child) for step, child in children(node)]


def leads_to_itself(start: dict[str, Any], root: dict[str, Any]) -> bool:
    """Return whether a schema is reached again from itself before any part of a value is consumed.

    JSON Schema forbids it (2020-12 core, 9.4.1); a grammar made of it allows no text at all.
    """
    waiting, seen = list(_same_value(start, root)), set()
    while waiting:
        node = waiting.pop()
        if node is start:
            return True
        if id(node) not in seen:
            seen.add(id(node))
            waiting += _same_value(node, root)
    return False


def _same_value(node: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    lists = (node[name] for name in _IN_PLACE if isinstance(node.get(name), list))
    yield from (child for child in chain.from_iterable(lists) if isinstance(child, dict))
    target: Any = root
    reference = node.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#"):
        return
    for step in reference[1:].split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        target = target.get(step) if isinstance(target, dict) else None
    if isinstance(target, dict):
        yield target
