"""What a path finds in JSON text (gjson.go: Get, parseObject, parseArray).

Values are taken from the text as they stand: of keys that occur twice the first counts, and text that is no JSON gives
what gjson makes of it. Text holds one byte per character.
"""

from dataclasses import dataclass

from switchyard.router.gjson import modifiers, scan, strings
from switchyard.router.gjson import path as paths
from switchyard.router.gjson.match import matches
from switchyard.router.gjson.query import Query
from switchyard.router.gjson.result import NOTHING, Result, next_value, parse
from switchyard.router.gjson.valid import is_valid_text

_LITERALS = frozenset(("true", "false", "null", "nan", "inf"))


@dataclass(slots=True)
class _Search:
    """One walk through ``text``: what was found, and the path that the result is to be piped into."""

    text: str
    value: Result = NOTHING
    pipe: str | None = None


def get(text: str, path: str) -> Result:
    """What ``path`` finds; a result that does not exist if nothing."""
    if len(path) > 1 and path[0] in "@!":
        done = modifiers.run(text, path, get) if path[0] == "@" else _literal(path)
        if done is not None:
            made, rest = done
            return get(made, rest[1:]) if rest.startswith(("|", ".")) else parse(made)
    if len(path) > 1 and path[0] in "[{":
        members, rest = paths.selectors(path) or (None, "")
        if members is not None and (not rest or rest[0] in "|."):
            made = _multipath(text, path[0], members)
            return get(made, rest[1:]) if rest else Result("json", made)
        path = rest  # as upstream: what follows a multipath that is none is the path
    search = _Search(text)
    if path.startswith(".."):
        _array(search, 0, path[2:])
    else:
        start = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
        if start >= 0:
            (_object if text[start] == "{" else _array)(search, start + 1, path)
    return search.value if search.pipe is None else get(search.value.raw, search.pipe)


def _multipath(text: str, kind: str, members: tuple[paths.Selector, ...]) -> str:
    made: list[str] = []
    for member in members:
        found = get(text, member.path)
        if found.exists:
            raw = found.raw or str(found) or "null"
            made.append(f"{_member_key(member)}:{raw}" if kind == "{" else raw)
    return kind + ",".join(made) + ("}" if kind == "{" else "]")


def _member_key(member: paths.Selector) -> str:
    if member.name:
        quoted = member.name[0] == '"' and is_valid_text(member.name)
        return member.name if quoted else strings.quote(member.name)
    last = paths.last_name(member.path)
    return strings.quote(last if paths.is_simple_name(last) else "_")


def _literal(path: str) -> tuple[str, str] | None:
    """The JSON behind ``!`` and the path after it; None for a word that is no literal."""
    body = path[1:]
    if body[0] in '{["+-0123456789':
        end = scan.container_end(body, 0)
        return body[:end], body[end:]
    end = next((i for i, char in enumerate(body) if char in "|."), len(body))
    return (body[:end], body[end:]) if body[:end].lower() in _LITERALS else None


def _object(search: _Search, i: int, path: str) -> tuple[int, bool]:
    """Looks for ``path`` in the object whose inside begins at ``i``: the place after it, and whether it was found."""
    text = search.text
    part = paths.object_part(path)
    if part.tail.pipe is not None:
        search.pipe = part.tail.pipe
    deeper = part.tail.path
    while True:
        member = scan.key_at(text, i)
        if member is None:
            return len(text), False
        i, key = member
        if key is None:
            return i, False
        i = scan.value_start(text, i)
        if i == len(text):
            return i, False
        if not _is_key(part, key):
            i = _skip(text, i)
        elif deeper is None:
            value, i = next_value(text, i)
            search.value = value or search.value
            return i, value is not None
        else:
            i, found = _descend(search, i, deeper)
            if found:
                return i, True


def _is_key(part: paths.ObjectPart, key: str) -> bool:
    if "\\" in key:
        key = strings.unescape(key)
    return matches(key, part.key) if part.wild else key == part.key


def _descend(search: _Search, i: int, path: str) -> tuple[int, bool]:
    """Looks for ``path`` in the value at ``i``; there is nothing in a value that is no container."""
    if search.text[i] == "{":
        return _object(search, i + 1, path)
    if search.text[i] == "[":
        return _array(search, i + 1, path)
    return _skip(search.text, i), False


def _skip(text: str, i: int) -> int:
    if text[i] in "{[":
        return scan.container_end(text, i)
    return next_value(text, i)[1]


def _array(search: _Search, i: int, path: str) -> tuple[int, bool]:
    """The same for the array whose inside begins at ``i``; the end of the text closes it too."""
    part = paths.array_part(path)
    if part.tail.pipe is not None:
        search.pipe = part.tail.pipe
    if part.query is not None:
        return _query(search, i, part.query, part.tail.path)
    text, starts = search.text, [i]
    while not _closes(text, i := scan.element_start(text, i)):
        if part.index != len(starts) - 1:
            i = _skip(text, i)
        elif part.tail.path is None:
            value, i = next_value(text, i)
            search.value = value or search.value
            return i, value is not None
        else:
            i, found = _descend(search, i, part.tail.path)
            if found:
                return i, True
        starts.append(i)
    if part.each is not None:
        search.value = _each(search, starts, part.each)
    elif part.counts:
        count = len(starts) - 1
        search.value = Result("number", str(count), number=float(count))
    return i + 1, part.counts


def _closes(text: str, i: int) -> bool:
    return i == len(text) or text[i] == "]"


def _each(search: _Search, starts: list[int], path: str) -> Result:
    """What ``path`` finds in each element, as an array; ``starts`` are places before elements, the last before none."""
    if split := paths.split_pipe(path):
        path, search.pipe = split
    raws: list[str] = []
    for start in starts[:-1]:
        value, _ = next_value(search.text, start)
        found = NOTHING if value is None else get(value.raw, path)
        if found.exists:
            raws.append(found.raw or str(found))
    return Result("json", f"[{','.join(raws)}]")


def _query(search: _Search, i: int, query: Query, deeper: str | None) -> tuple[int, bool]:
    """Looks for the first element that fits, or gathers all; that is no find, so the walk goes on behind them."""
    text, raws = search.text, list[str]()
    while not _closes(text, i := scan.element_start(text, i)):
        element, i = next_value(text, i)
        if element is None:
            return i, False
        if not _fits(element, query):
            continue
        found = element
        if deeper is not None:
            if split := paths.split_pipe(deeper):
                deeper, search.pipe = split
            found = get(element.raw, deeper)
        if not query.all:
            search.value = found
            return i, True
        raws.append(found.raw or str(found))
    if query.all and not search.value.exists:
        search.value = Result("json", f"[{','.join(filter(None, raws))}]")
    return i + 1, False


def _fits(element: Result, query: Query) -> bool:
    if element.type == "json":
        return query.holds(get(element.raw, query.path))
    return not query.path and query.holds(element)
