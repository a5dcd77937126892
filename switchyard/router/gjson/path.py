"""Splits a path into components (gjson.go: parseObjectPath, parseArrayPath, splitPossiblePipe, parseSubSelectors).

Splitting depends only on the path, so results are cached: one condition is tested on many bodies.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from switchyard.router.gjson import scan, strings
from switchyard.router.gjson.query import Query, parse_query

MODIFIERS = frozenset(
    "pretty ugly reverse this flatten join valid keys values tostr fromstr group dig".split()  # noqa: SIM905
)
_KEPT = 1024
_NAME_END = re.compile(r"[.|:]")
_NOT_SIMPLE = re.compile(r"[\x00-\x1f\[\]{}()#|!]")


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows a component: a ``path`` for the value it found, or a ``pipe`` for the result as a whole."""

    path: str | None = None
    pipe: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectPart:
    """A key, or a pattern of keys (``wild``)."""

    key: str
    wild: bool
    tail: Tail


@dataclass(frozen=True, slots=True)
class ArrayPart:
    """An ``index``; or, where a ``#`` stands, a ``query``, a path for ``each`` element, or their count."""

    tail: Tail
    index: int | None = None
    query: Query | None = None
    each: str | None = None
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Selector:
    """One member of ``[path,…]`` or ``{"name":path,…}``; the name as written, or empty."""

    name: str
    path: str


@lru_cache(_KEPT)
def object_part(path: str) -> ObjectPart:
    """Return the first component of ``path`` for an object."""
    chars: list[str] = []
    wild = False
    i = 0
    while i < len(path):
        char = path[i]
        if char in ".|":
            return ObjectPart("".join(chars), wild, _tail(path, i))
        if char == "\\":
            i += 1
            char = path[i : i + 1]
        elif char in "*?":
            wild = True
        chars.append(char)
        i += 1
    return ObjectPart("".join(chars), wild, Tail())


@lru_cache(_KEPT)
def array_part(path: str) -> ArrayPart:
    """Return the first component of ``path`` for an array."""
    query, query_end = None, 0
    if path[:2] in ("#(", "#["):
        query, query_end = parse_query(path)
    # A query that is not closed takes the whole path: upstream leaves its loop there.
    end = next((i for i in range(query_end, len(path)) if path[i] in ".|"), len(path)) if query_end >= 0 else len(path)
    text = path[:end]
    # After a `#`, a dot leads into the elements, whatever follows (upstream: arrch); only `|` pipes.
    hashed = "#" in text
    tail = _tail(path, end, dot_pipes=not hashed) if end < len(path) else Tail()
    return ArrayPart(
        tail=tail,
        index=None if hashed else strings.to_index(text),
        query=query,
        each=path[2:] if path.startswith("#.") else None,
        counts=text == "#",
    )


def _tail(path: str, end: int, *, dot_pipes: bool = True) -> Tail:
    rest = path[end + 1 :]
    if path[end] == "|" or (dot_pipes and rest and _begins_pipe(rest)):
        return Tail(pipe=rest)
    return Tail(path=rest)


def _begins_pipe(rest: str) -> bool:
    """Whether a dot before ``rest`` means a pipe: a modifier or a multipath follows."""
    if rest[0] == "@":
        return _NAME_END.split(rest[1:], maxsplit=1)[0] in MODIFIERS
    return rest[0] in "[{"


@lru_cache(_KEPT)
def selectors(path: str) -> tuple[tuple[Selector, ...], str] | None:
    """Return the members of the multipath at the start of ``path`` and the rest of it; None if it is not closed."""
    found: list[Selector] = []
    depth, start, colon, modified = 1, 1, 0, False
    i = 1
    while i < len(path):
        char = path[i]
        if char == "\\":
            i += 1
        elif char == "@":
            modified = modified or path[i - 1] in ".|"
        elif char == ":":
            colon = i if not modified and not colon and depth == 1 else colon
        elif char == '"':
            i = quoted_end(path, i)
        elif char in "[({":
            depth += 1
        elif char in ",])}":
            if depth == 1:
                name, begin = (path[start:colon], colon + 1) if colon else ("", start)
                found.append(Selector(name, path[begin:i]))
                start, colon, modified = i + 1, 0, False
            depth -= char != ","
            if depth == 0:
                return tuple(found), path[i + 1 :]
        i += 1
    return None


def quoted_end(path: str, quote: int) -> int:
    """Return the position of the quote that closes the one at ``quote``, or past the end."""
    i = quote + 1
    while i < len(path) and path[i] != '"':
        i += 2 if path[i] == "\\" else 1
    return i


@lru_cache(_KEPT)
def split_pipe(path: str) -> tuple[str, str] | None:
    """Split ``path`` at its first pipe outside queries; None if there is none."""
    if "|" not in path:
        return None
    if path[0] == "{":
        end = 1 + scan.balanced_end(path, 1)
        return (path[:end], path[end + 1 :]) if path[end : end + 1] == "|" else None
    i = 0
    while i < len(path):
        if path[i] == "|":
            return path[:i], path[i + 1 :]
        if path[i] == "\\":
            i += 1
        elif path.startswith(".#", i):
            i += 2
            if path.startswith(("[", "("), i):
                i = _selector_end(path, i)
        i += 1
    return None


def _selector_end(path: str, start: int) -> int:
    """Return the position of the bracket that closes the one at ``start``, or past the end; others do not count."""
    opening, closing = path[start], "]" if path[start] == "[" else ")"
    depth, i = 1, start + 1
    while i < len(path):
        char = path[i]
        if char == "\\":
            i += 1
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                return i
        elif char == '"':
            i = quoted_end(path, i)
        i += 1
    return i


def last_name(path: str) -> str:
    """Return the part after the last separator: the key of a multipath's member that has no name."""
    for i in range(len(path) - 1, -1, -1):
        if path[i] in ".|" and (i == 0 or path[i - 1] != "\\"):
            return path[i + 1 :]
    return path


def is_simple_name(name: str) -> bool:
    return _NOT_SIMPLE.search(name) is None
