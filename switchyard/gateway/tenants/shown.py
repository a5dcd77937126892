"""What sentences about ``tenants.yaml`` may show of it: they go into logs and the store, and anything may be in it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from switchyard.gateway.tenants.keys import NAME, PREFIX, UNBOUND_FORM

INVALID = 2  # the reader's exit status when what it wrote are such sentences
_LONGEST = 300  # characters of a sentence
_KEY = re.compile(UNBOUND_FORM)
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_NAME = re.compile(NAME)
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_HIDDEN = "…"


def sentence(text: str) -> str:
    """Return a sentence without API keys, and not longer than anybody reads."""
    text = _KEY.sub(PREFIX + _HIDDEN, text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + _HIDDEN


def field(name: object) -> str:
    """Return a field's name if it looks like one: what slipped there may be a secret."""
    return name if isinstance(name, str) and _FIELD.fullmatch(name) else _HIDDEN


def yaml_problem(text: str) -> str:
    """Return what a YAML parser found wrong, less what it quotes of the file: not what it says it expected."""
    return _QUOTED.sub(lambda found: found[0] if not any(map(str.isalnum, found[0])) else f"'{_HIDDEN}'", text)


def place(path: Sequence[str | int], said: Any) -> str:
    """Return where in the parsed file ``said`` a path leads, as ``tenants[1] (globex).limits[0].per``."""
    text, here = "", said
    for part in path:
        here = _inner(here, part)
        text += f"[{part}]{_called(here)}" if isinstance(part, int) else f".{field(part)}"
    return text.removeprefix(".")


def _inner(outer: Any, part: str | int) -> Any:
    try:
        return outer[part]
    except (LookupError, TypeError):  # a field that is missing, or no list
        return None


def _called(item: Any) -> str:
    """Return the id or name of an item in parentheses; what does not look like one may be a secret."""
    name = (item.get("id") or item.get("name")) if isinstance(item, Mapping) else None
    return f" ({name})" if isinstance(name, str) and _NAME.fullmatch(name) else ""
