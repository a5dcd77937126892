"""Conditions: paths that hold when they find something in a body, tested at the speed of orjson where that is the same.

Most conditions are plain: keys, and perhaps one query with a key and a word in it. Those are looked up in what orjson
made of the body, unless an object in it has a key twice, which only its text shows; then, and for all other paths, the
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


class Body:
    """Bytes that several conditions are tested on; they are decoded once, and only as far as a condition needs."""

    __slots__ = ("_repeats", "_text", "_tree", "_valid", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._text: str | None = None
        self._tree: object = None
        self._valid: bool | None = None
        self._repeats: bool | None = None

    @property
    def is_json(self) -> bool:
        if self._valid is None:
            try:
                self._tree = orjson.loads(self.data)
                self._valid = True
            except orjson.JSONDecodeError:
                self._tree = _ABSENT
                self._valid = is_valid_text(self.text)
        return self._valid

    @property
    def text(self) -> str:
        """The body with one character per byte."""
        if self._text is None:
            self._text = self.data.decode("latin-1")
        return self._text

    @property
    def tree(self) -> object:
        """The body as orjson decodes it, or an object of no JSON type if orjson does not."""
        return self._tree if self.is_json else _ABSENT

    @property
    def repeats_keys(self) -> bool:
        """Whether an object may have a key twice, however it is spelled; asked only of what orjson decodes."""
        if self._repeats is None:
            try:
                json.loads(self.data, object_pairs_hook=_without_repeats)
                self._repeats = False
            except (_RepeatedKey, ValueError, RecursionError):
                self._repeats = True
        return self._repeats


class _RepeatedKey(Exception):
    """An object has a key twice."""


def _without_repeats(members: list[tuple[str, object]]) -> None:
    if len(dict(members)) < len(members):
        raise _RepeatedKey


@dataclass(frozen=True, slots=True)
class Condition:
    """A path, ready to be tested."""

    path: str
    _bytes: str
    _lookup: "_Lookup | None"

    def holds(self, body: bytes | Body) -> bool:
        """Whether the path finds something; never in what is no JSON, or what is nested too deeply to be walked."""
        if not isinstance(body, Body):
            body = Body(body)
        if not body.is_json:
            return False
        if self._lookup is not None:
            answer = self._lookup.holds(body)
            if answer is not None:
                return answer
        try:
            return get(body.text, self._bytes).exists
        except RecursionError:
            return False


def compile(path: str) -> Condition:
    """A condition from a path; every text is a path, so there is nothing to refuse."""
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
    """``keys``, then the elements' ``asked`` keys; without ``keys``, the body itself is the only element.

    ``compares`` is the query's operator for strings that are compared with ``wanted`` as they are.
    """

    keys: tuple[str, ...]
    compares: Callable[[str, str], bool] | None = None
    wanted: str = ""
    asked: tuple[str, ...] = ()
    query: Query | None = None

    def holds(self, body: Body) -> bool | None:
        """The answer, or None where only the body's text can tell."""
        tree = body.tree
        if type(tree) is not dict and type(tree) is not list:
            return None  # in text, even a string that holds a bracket is searched
        seen: list[str] = []
        found = _walk(tree, self.keys, seen)
        if self.query is None:
            answer = found is not _ABSENT
        elif not self.keys:
            answer = self._fits(tree, seen)
        elif type(found) is list:
            # All are looked at, so that `seen` is whole.
            answer = True in [self._fits(element, seen) for element in found]
        elif type(found) is dict:
            return None  # a key may read like the query
        else:
            answer = False
        return answer if _stand_alone(body.data, seen) or not body.repeats_keys else None

    def _fits(self, element: object, seen: list[str]) -> bool:
        value = _walk(element, self.asked, seen)
        if value is _ABSENT:
            return False
        if self.compares is not None and isinstance(value, str):
            return self.compares(value, self.wanted)
        assert self.query is not None
        return self.query.holds(_result(value))


def _walk(value: object, keys: tuple[str, ...], seen: list[str]) -> object:
    """What ``keys`` lead to; those that were found on the way are added to ``seen``."""
    for key in keys:
        if type(value) is not dict or key not in value:
            return _ABSENT
        value = value[key]
        seen.append(key)
    return value


def _stand_alone(data: bytes, seen: list[str]) -> bool:
    """Whether each key that was found is written as often as it was found, and none can be written with escapes.

    Quick to ask, and usually so; a key may also be written as often in objects that were not looked into.
    """
    if b"\\u00" in data and _ESCAPED.search(data):
        return False
    return all(data.count(b'"%b"' % key.encode()) == seen.count(key) for key in set(seen))


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
