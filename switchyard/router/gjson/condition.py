"""Conditions: paths that hold when they find something in a body, tested at orjson's speed where possible.

Most conditions are plain: keys, and perhaps one query with a key and a word. They are looked up in the tree that orjson
decodes, unless an object in it has a key twice, which only the text shows. In that case, and for all other paths, the
text itself is walked.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from switchyard.router.gjson.get import get
from switchyard.router.gjson.query import ORDERS, Query, parse_query
from switchyard.router.gjson.result import Result
from switchyard.router.gjson.valid import is_valid_text

_KEYS = r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*"
_COMPARISON = r'(?P<op>==|!=|!%|<=|>=|=|<|>|%) *(?:"(?P<word>[^"\\]*)"|(?P<bare>-?[0-9]+(?:\.[0-9]+)?|true|false)) *'
_PLAIN = re.compile(rf"(?P<array>\[@this\]|{_KEYS})\.(?P<query>#\( *(?P<path>{_KEYS}) *(?:{_COMPARISON})?\))")
_PLAIN_KEYS = re.compile(_KEYS)
# A character of such keys that is written as an escape, as it may be in a key.
_ESCAPED = re.compile(rb"\\u00(?:2[dD]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
_ABSENT = object()
# Bytes of a body that orjson rejects and Go would take, for half a surrogate pair or a number beyond 64-bit floats: to
# find that out takes seconds for 16 MB, in calls that nothing else of the process may interrupt.
_LENIENT_BYTES = 1024 * 1024


class Body:
    """Bytes on which several conditions are tested; decoded once, and only as far as a condition needs."""

    __slots__ = ("_escapes", "_repeats", "_text", "_tree", "_valid", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._text: str | None = None
        self._tree: object = None
        self._valid: bool | None = None
        self._repeats: bool | None = None
        self._escapes: bool | None = None

    @property
    def is_json(self) -> bool:
        if self._valid is None:
            try:
                self._tree = orjson.loads(self.data)
                self._valid = True
            except orjson.JSONDecodeError:
                self._tree = _ABSENT
                self._valid = len(self.data) <= _LENIENT_BYTES and is_valid_text(self.text)
        return self._valid

    @property
    def text(self) -> str:
        """The body with one character per byte."""
        if self._text is None:
            self._text = self.data.decode("latin-1")
        return self._text

    @property
    def tree(self) -> object:
        """The body as orjson decodes it, or a sentinel that is no JSON type when orjson cannot."""
        return self._tree if self.is_json else _ABSENT

    @property
    def escapes_keys(self) -> bool:
        """Whether a key may be written with escapes."""
        if self._escapes is None:
            # One byte is found some ten times faster than four, and many bodies have no escape at all.
            self._escapes = b"\\" in self.data and _ESCAPED.search(self.data) is not None
        return self._escapes

    @property
    def repeats_keys(self) -> bool:
        """Whether an object may have a key twice, however it is escaped; call it only if orjson decodes the body."""
        if self._repeats is None:
            try:
                # The slow decoder, because orjson keeps the last of two equal keys and tells nobody.
                json.loads(self.data, object_pairs_hook=_without_repeats)
                self._repeats = False
            except (_RepeatedKeyError, ValueError, RecursionError):
                self._repeats = True
        return self._repeats


class _RepeatedKeyError(Exception):
    """An object has a key twice."""


def _without_repeats(members: list[tuple[str, object]]) -> None:
    if len(dict(members)) < len(members):
        raise _RepeatedKeyError


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled path."""

    path: str
    _bytes: str
    _lookup: "_Lookup | None"

    def holds(self, body: bytes | Body) -> bool:
        """Whether the path finds something; False for invalid JSON and for nesting that is too deep to walk."""
        if not isinstance(body, Body):
            body = Body(body)
        if not body.is_json:
            return False
        if self._lookup is not None:
            result = self._lookup.holds(body)
            if result is not None:
                return result
        try:
            return get(body.text, self._bytes).exists
        except RecursionError:
            return False


def compile(path: str) -> Condition:
    """Compile a path; every text is a path, so this never fails."""
    return Condition(path, path.encode(errors="surrogatepass").decode("latin-1"), _plain(path))


def _plain(path: str) -> "_Lookup | None":
    while path.startswith(("@this.", "@this|")):
        path = path[len("@this.") :]
    if _PLAIN_KEYS.fullmatch(path):
        return _Lookup(tuple(path.split(".")))
    found = _PLAIN.fullmatch(path)
    if found is None:
        return None
    keys = () if found["array"] == "[@this]" else tuple(found["array"].split("."))
    query, _ = parse_query(found["query"])
    wanted = found["word"] if found["word"] is not None else found["bare"]
    return _Lookup(keys, ORDERS.get(query.op), wanted or "", tuple(found["path"].split(".")), query)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Follows ``keys``, then in each element the keys ``asked``; without ``keys``, the body itself is the only element.

    ``compares`` is the query's operator for strings, which are compared with ``wanted`` unchanged.
    """

    keys: tuple[str, ...]
    compares: Callable[[str, str], bool] | None = None
    wanted: str = ""
    asked: tuple[str, ...] = ()
    query: Query | None = None

    def holds(self, body: Body) -> bool | None:
        """Return the result, or None where only the body's text can decide."""
        tree = body.tree
        if type(tree) is not dict and type(tree) is not list:
            return None  # the text walk also searches strings that contain a bracket
        seen: list[str] = []
        found = _walk(tree, self.keys, seen)
        if self.query is None:
            result = found is not _ABSENT
        elif not self.keys:
            result = self._fits(tree, seen)
        elif type(found) is list:
            # A list, not a generator: all elements must add to `seen`.
            result = True in [self._fits(element, seen) for element in found]
        elif type(found) is dict:
            return None  # a key may look like the query
        else:
            result = False
        return result if _stand_alone(body, seen) or not body.repeats_keys else None

    def _fits(self, element: object, seen: list[str]) -> bool:
        value = _walk(element, self.asked, seen)
        if value is _ABSENT:
            return False
        if self.compares is not None and isinstance(value, str):
            return self.compares(value, self.wanted)
        assert self.query is not None
        return self.query.holds(_result(value))


def _walk(value: object, keys: tuple[str, ...], seen: list[str]) -> object:
    """Follow ``keys`` into ``value``; add those that were found to ``seen``."""
    for key in keys:
        if type(value) is not dict or key not in value:
            return _ABSENT
        value = value[key]
        seen.append(key)
    return value


def _stand_alone(body: Body, seen: list[str]) -> bool:
    """Whether each found key is written as often as it was found, and none can be written with escapes.

    A quick test that usually succeeds; it may fail when objects that were not looked into have the same key.
    """
    if not seen:
        return True
    if body.escapes_keys:
        return False
    return all(body.data.count(b'"%b"' % key.encode()) == seen.count(key) for key in set(seen))


def _result(value: object) -> Result:
    if value is None:
        return Result("null", "null")
    if isinstance(value, bool):
        return Result("true", "true") if value else Result("false", "false")
    if isinstance(value, int | float):
        return Result("number", "0", number=float(value))
    if isinstance(value, str):
        return Result("string", '""', value.encode().decode("latin-1"))
    return Result("json", "{}")
