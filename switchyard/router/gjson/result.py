"""A value found in JSON text: its text in the JSON, and its meaning."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from switchyard.router.gjson import scan, strings

Type = Literal["null", "false", "number", "string", "true", "json"]

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER_STARTS = frozenset("+-0123456789iIN")
_LITERALS: dict[str, Type] = {"t": "true", "f": "false", "n": "null"}


@dataclass(frozen=True, slots=True)
class Result:
    """``raw`` is JSON text, ``text`` a string's content, ``number`` a number's value; one character per byte."""

    type: Type
    raw: str
    text: str = ""
    number: float = 0.0

    @property
    def exists(self) -> bool:
        return self.type != "null" or self.raw != ""

    @property
    def is_array(self) -> bool:
        return self.type == "json" and self.raw.startswith("[")

    @property
    def is_object(self) -> bool:
        return self.type == "json" and self.raw.startswith("{")

    def __str__(self) -> str:
        if self.type == "string":
            return self.text
        if self.type == "number":
            digits = self.raw.removeprefix("-")
            plain = digits.isascii() and (digits.isdigit() or not digits)
            return self.raw if plain else strings.from_float(self.number)
        return "" if self.type == "null" else self.type if self.type != "json" else self.raw

    def truth(self) -> bool:
        """Convert as Go's ``Result.Bool``."""
        if self.type == "string":
            return strings.to_bool(self.text) is True
        return self.type == "true" or (self.type == "number" and self.number != 0)

    def integer(self) -> int:
        """Convert as Go's ``Result.Int``, for values that people write as arguments."""
        if self.type == "string":
            return int(self.text) if _WHOLE.fullmatch(self.text) else 0
        if self.type == "number":
            return int(self.number) if math.isfinite(self.number) else 0
        return 1 if self.type == "true" else 0

    def members(self) -> Iterator[tuple["Result", "Result"]]:
        """Yield keys and values in order; elements have no keys, and neither has a value that is not a container."""
        if not self.exists:
            return
        if self.type != "json":
            yield NOTHING, self
            return
        text = self.raw
        start = len(text) - len(text.lstrip(_BLANKS))
        if start == len(text) or text[start] not in "{[":
            return
        yield from _members(text, start)


NOTHING = Result("null", "")
_BLANKS = "".join(map(chr, range(33)))


def _members(text: str, start: int) -> Iterator[tuple[Result, Result]]:
    keyed, i, key = text[start] == "{", start + 1, NOTHING
    while i < len(text):
        if keyed:
            i = text.find('"', i)
            found = scan.string_at(text, i) if i >= 0 else None
            if found is None:
                return
            key, i = _string(text[i : found[0]], found[1]), found[0]
        # Only these characters may precede a value.
        while i < len(text) and (text[i] <= " " or text[i] in ",:"):
            i += 1
        value, i = next_value(text, i)
        if value is None:
            return
        yield key, value
        i += 1  # upstream's loop steps over one more character, usually a comma


def parse(text: str) -> Result:
    """Parse the value at the start of ``text``; a container takes all the rest of the text (gjson.go: Parse)."""
    i = len(text) - len(text.lstrip(_BLANKS))
    if i == len(text):
        return NOTHING
    if text[i] in "{[":
        return Result("json", text[i:])
    if text[i] == '"':
        found = scan.string_at(text, i)
        return _string(text[i : found[0]], found[1]) if found else _unclosed(text, i)
    return _scalar_at(text, i) or NOTHING


def _unclosed(text: str, start: int) -> Result:
    inside = text[start + 1 :]
    return Result("string", text[start:], strings.unescape(inside) if "\\" in inside else inside)


def next_value(text: str, start: int) -> tuple[Result | None, int]:
    """Return the next value from ``start`` on and the position after it (gjson.go: parseAny)."""
    i = start
    while i < len(text):
        char = text[i]
        if char in "{[":
            end = scan.container_end(text, i)
            return Result("json", text[i:end]), end
        if char == '"':
            found = scan.string_at(text, i)
            return (_string(text[i : found[0]], found[1]), found[0]) if found else (None, len(text))
        value = _scalar_at(text, i)
        if value is not None:
            return value, i + len(value.raw)
        i += 1
    return None, i


def _scalar_at(text: str, i: int) -> Result | None:
    """Return the number, true, false or null at ``i``, by its first character."""
    char = text[i]
    if char in _NUMBER_STARTS or (char == "n" and text[i + 1 : i + 2] not in ("u", "")):
        return _number(text[i : scan.number_end(text, i)])
    if char in _LITERALS:
        return Result(_LITERALS[char], text[i : scan.literal_end(text, i)])
    return None


def _number(raw: str) -> Result:
    return Result("number", raw, number=strings.to_float(raw))


def _string(raw: str, inside: str) -> Result:
    return Result("string", raw, strings.unescape(inside) if "\\" in inside else inside)
