"""Where a piece of JSON text ends: strings, numbers, literals, and whole containers.

Text has one character per byte (latin-1), so that it compares, slices and counts as bytes do in Go. Nothing is
validated: invalid JSON gets the extent that gjson gives it (gjson.go: parseString, parseNumber, parseLiteral,
parseSquash, squash).
"""

import re

# Possessive (`*+`) throughout: otherwise a string that is not closed would be backtracked into, again and again.
_INSIDE = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_STRING = re.compile(rf'"({_INSIDE})"', re.DOTALL)
_NUMBER = re.compile(r".[^\x00- ,\]}]*+", re.DOTALL)
_LITERAL = re.compile(r".[a-z]*+", re.DOTALL)
_VALUE = re.compile(r'[^"{\[ntf+\-0-9iIN]*+')
_ELEMENT = re.compile(r'[^"{\[ntf+\-0-9iIN\]]*+')
_KEY = re.compile(rf'[^"}}]*+(?:}}|"({_INSIDE})")', re.DOTALL)
# Up to the next bracket outside strings; an unclosed string reaches to the end.
_BRACKET = re.compile(rf'(?:[^"{{}}()\[\]]++|"{_INSIDE}(?:"|\\?\Z))*+[{{}}()\[\]]', re.DOTALL)
_OPENING = frozenset("{[(")
# Containers of this depth are skipped by one match, deeper ones bracket by bracket.
_DEPTH = 6


def _nested(depth: int) -> str:
    inner = f"|{_nested(depth - 1)}" if depth else ""
    return rf'[{{(\[](?:[^"{{}}()\[\]]++|"{_INSIDE}"{inner})*+[}})\]]'


_SHALLOW = re.compile(_nested(_DEPTH), re.DOTALL)


def string_at(text: str, start: int) -> tuple[int, str] | None:
    """Return end and content (escapes as written) of the string whose quote is at ``start``, None if unclosed."""
    found = _STRING.match(text, start)
    return (found.end(), found[1]) if found else None


def key_at(text: str, start: int) -> tuple[int, str | None] | None:
    """Return end and content of an object's next key; the key is None at the object's end, all is None at the end."""
    found = _KEY.match(text, start)
    return (found.end(), found[1]) if found else None


def value_start(text: str, start: int) -> int:
    """Return where a member's value begins, or the text's length."""
    return _end(_VALUE, text, start)


def element_start(text: str, start: int) -> int:
    """Return where an array's next element or closing bracket is; the text's length closes it as well."""
    return _end(_ELEMENT, text, start)


def number_end(text: str, start: int) -> int:
    return _end(_NUMBER, text, start)


def literal_end(text: str, start: int) -> int:
    return _end(_LITERAL, text, start)


def container_end(text: str, start: int) -> int:
    """Return the position after the bracket that closes the one at ``start``; kinds of brackets do not matter."""
    if shallow := _SHALLOW.match(text, start):
        return shallow.end()
    depth, end = 1, start + 1
    while bracket := _BRACKET.match(text, end):
        end = bracket.end()
        depth += 1 if text[end - 1] in _OPENING else -1
        if depth == 0:
            return end
    return len(text)


def balanced_end(text: str, start: int = 0) -> int:
    """Return the position after the string or container at ``start``; the text's length if it is not closed."""
    if text[start] != '"':
        return container_end(text, start)
    found = string_at(text, start)
    return found[0] if found else len(text)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    assert found is not None
    return found.end()
