"""Formats JSON text on lines, or without whitespace, as github.com/tidwall/pretty v1.2.1 does.

The format can decide a condition: ``@pretty|@tostr`` makes it part of a string, and sorted keys have other indexes.
"""

import re
from dataclasses import dataclass, field

from switchyard.router.gjson import strings

_INSIDE = r'[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_BLANKS_OUTSIDE_STRINGS = re.compile(rf'("{_INSIDE})|[\x00-\x20]++', re.DOTALL)
_SCALAR = re.compile(rf'"{_INSIDE}|[-+0-9iIN][^\x00- ,:\]}}]*+|n[^u][^\x00- ,:\]}}]*+|[tfn]', re.DOTALL)
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_BLANKS = " \t\n\v\f\r"
_SCALAR_STARTS = frozenset('"-+0123456789iINtfn')
_STRING_RANK, _NUMBER_RANK = 3, 2
_RANKS = {"n": 0, "f": 1, '"': _STRING_RANK, "t": 4, "[": 5, "{": 5}


@dataclass(frozen=True, slots=True)
class Style:
    """``width`` is that of lines up to which an array stays on one, 0 or less for always many."""

    width: int = 80
    prefix: str = ""
    indent: str = "  "
    sorts_keys: bool = False


def ugly(text: str) -> str:
    return _BLANKS_OUTSIDE_STRINGS.sub(r"\1", text)


def pretty(text: str, style: Style) -> str:
    printer = _Printer(text, style)
    printer.value(0, 0, flat=False)
    return printer.out.decode("latin-1") + "\n" if printer.out else ""


@dataclass(slots=True)
class _Printer:
    """``line`` is where the last line of ``out`` begins."""

    text: str
    style: Style
    out: bytearray = field(default_factory=bytearray)
    line: int = 0

    def __post_init__(self) -> None:
        self._write(self.style.prefix)

    def value(self, i: int, tabs: int, *, flat: bool) -> tuple[int, bool]:
        """Print the next value; return the place after it, and whether it may be in an array on one line (``flat``)."""
        text = self.text
        while i < len(text) and text[i] not in _SCALAR_STARTS and text[i] not in "{[":
            i += 1
        if i == len(text):
            return i, True
        if text[i] in "{[":
            return self._container(i, tabs, flat=flat)
        return self._scalar(i), True

    def _scalar(self, i: int) -> int:
        found = _SCALAR.match(self.text, i)
        assert found is not None
        if found[0] in _LITERALS:
            self._write(_LITERALS[found[0]])
            return i + len(_LITERALS[found[0]])
        self._write(found[0])
        return found.end()

    def _container(self, i: int, tabs: int, *, flat: bool) -> tuple[int, bool]:
        keyed, width = self.text[i] == "{", self.style.width
        if flat and keyed:
            return i, False
        if not flat and not keyed and width > 0:
            end = self._on_one_line(i, width - (len(self.out) - self.line))
            if end:
                return end, True
        end = self._members(i, tabs, keyed=keyed, flat=flat)
        return end, not keyed and end > 0

    def _on_one_line(self, i: int, room: int) -> int:
        """Print the array on one line and return the place after it; if it does not fit, print nothing and return 0."""
        start = len(self.out)
        if room > 3:
            end = self._members(i, 0, keyed=False, flat=True)
            if end and len(self.out) - start <= room:
                return end
            del self.out[start:]
        return 0

    def _members(self, i: int, tabs: int, *, keyed: bool, flat: bool) -> int:
        """Print the container and return the place after it, or 0 if it cannot be flat."""
        text, closing = self.text, "}" if keyed else "]"
        self._write(text[i])
        entries: list[tuple[int, int, str]] = []
        i += 1
        while i < len(text):
            if text[i] == closing:
                if not flat:
                    self._end(tabs, entries, keyed=keyed)
                self._write(closing)
                return i + 1
            if text[i] <= " " or (keyed and text[i] != '"'):
                i += 1
                continue
            if entries:
                self._write(", " if not keyed and self.style.width != -1 else ",")
            if not flat:
                self._new_line()
            start, key = len(self.out), ""
            if not flat:
                self._indent(tabs + 1)
            if keyed:
                end = self._scalar(i)
                key = text[i:end]
                self._write(":" if flat else ": ")
                i = end
            i, plain = self.value(i, tabs + 1, flat=flat)
            if flat and not plain:
                return 0
            entries.append((start, len(self.out), key))
        return i

    def _end(self, tabs: int, entries: list[tuple[int, int, str]], *, keyed: bool) -> None:
        if not entries:
            return
        if keyed and self.style.sorts_keys:
            members = sorted(entries, key=self._order)
            self.out[entries[0][0] :] = b",\n".join([bytes(self.out[start:end]) for start, end, _ in members])
        self._new_line()
        self._indent(tabs)

    def _order(self, entry: tuple[int, int, str]) -> tuple[str, tuple[int, float, str]]:
        start, end, key = entry
        return _key_order(key), _value_order(self._said(start, end, key))

    def _said(self, start: int, end: int, key: str) -> str:
        """Return the value of the member that was printed from ``start`` to ``end``."""
        return self.out[start:end].decode("latin-1").strip(_BLANKS)[len(key) + 1 :].strip(_BLANKS)

    def _new_line(self) -> None:
        self.line = len(self.out)
        if self.out.endswith(b" "):
            self.out[-1:] = b"\n"
        else:
            self.out += b"\n"

    def _indent(self, tabs: int) -> None:
        self._write(self.style.prefix + self.style.indent * tabs)

    def _write(self, text: str) -> None:
        self.out += text.encode("latin-1")


def _key_order(raw: str) -> str:
    return strings.unescape(raw[1:-1]) if "\\" in raw else raw[1:-1]


def _value_order(raw: str) -> tuple[int, float, str]:
    """Null, false, numbers, strings, true, containers; numbers by size, all else by its text."""
    rank = _RANKS.get(raw[:1], _NUMBER_RANK if raw else 0)
    if rank == _NUMBER_RANK:
        return rank, strings.to_float(raw), ""
    return rank, 0.0, _key_order(raw) if rank == _STRING_RANK else raw
