"""Explicit nulls: OpenAI's API takes one for every optional field, and means the default; vLLM rejects many."""

from collections.abc import Mapping
from typing import Any

import orjson

_LISTS = ("messages", "input")
_MEANT = frozenset(("content",))  # of a message without any, such as one that only calls tools


def without_nulls(body: bytes, outline: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return a request without the nulls of its fields and of its messages' or items' fields.

    ``outline`` is the parsed outline of ``body``, and comes back in the same state.
    """
    if not _has_nulls(outline):
        return body, outline
    return orjson.dumps(_without(orjson.loads(body))), _without(outline)


def _has_nulls(payload: dict[str, Any]) -> bool:
    if None in payload.values():
        return True
    return any(isinstance(item, dict) and _nulls(item) for name in _LISTS for item in _items(payload, name))


def _without(payload: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in payload.items() if value is not None}
    for name in _LISTS:
        if items := _items(kept, name):
            kept[name] = [_of_item(item) if isinstance(item, dict) else item for item in items]
    return kept


def _of_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if value is not None or name in _MEANT}


def _nulls(item: Mapping[str, Any]) -> bool:
    return any(value is None and name not in _MEANT for name, value in item.items())


def _items(payload: Mapping[str, Any], name: str) -> list[Any]:
    items = payload.get(name)
    return items if isinstance(items, list) else []
