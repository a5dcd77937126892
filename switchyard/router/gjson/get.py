"""Finds a path's value in JSON text (gjson.go: Get, parseObject, parseArray).

Values are taken from the text unvalidated: of duplicate keys the first counts, and invalid JSON gives the result that
gjson gives. Text has one character per byte.
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
    """One walk through ``text``: the value found, and the path into which the result is piped."""

    text: str
    value: Result = NOTHING
    pipe: str | None = None


def get(text: str, path: str) -> Result:
    """Return what ``path`` finds; a result that does not exist if it finds nothing."""
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
    if path.startswith(".."):  # the text is JSON lines: an array without brackets
        _array(search, 0, path[2:])
    else:
        # The first bracket, wherever it is: upstream searches a string that has one, too.
        start = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
        if start >= 0:
            (_object if text[start] == "{" else _array)(search, start + 1, path)
    return search.value if search.pipe is None else get(search.value.raw, search.pipe)


def _multipath(text: str, kind: str, members: tuple[paths.Selector, ...]) -> str:
    made: list[str] = []
    for member in members:
        found = get(text, member.path)
        if found.exists:
            made.append(f"{_member_key(member)}:{found.raw}" if kind == "{" else found.raw)
    return kind + ",".join(made) + ("}" if kind == "{" else "]")


def _member_key(member: paths.Selector) -> str:
    if member.name:
        quoted = member.name[0] == '"' and is_valid_text(member.name)
        return member.name if quoted else strings.quote(member.name)
    last = paths.last_name(member.path)
    return strings.quote(last if paths.is_simple_name(last) else "_")


def _literal(path: str) -> tuple[str, str] | None:
    """Return the JSON after ``!`` and the rest of the path; None for a word that is not a literal."""
    body = path[1:]
    if body[0] in '{["+-0123456789':
        end = scan.container_end(body, 0)
        return body[:end], body[end:]
    end = next((i for i, char in enumerate(body) if char in "|."), len(body))
    return (body[:end], body[end:]) if body[:end].lower() in _LITERALS else None


def _object(search: _Search, i: int, path: str) -> tuple[int, bool]:
    """Search ``path`` in the object whose content begins at ``i``; return the position after it and if it was found."""
    text = search.text
    part = paths.object_part(path)
    # Before anything is found, as upstream: what is piped is then nothing, of which `@keys` still makes an array.
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
    """Search ``path`` in the value at ``i``; a value that is not a container has nothing to find."""
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
    """Do the same for the array whose content begins at ``i``; the end of the text closes it too."""
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
    """Return what ``path`` finds in each element, as an array; ``starts`` are positions before elements and the end."""
    if split := paths.split_pipe(path):
        path, search.pipe = split
    raws: list[str] = []
    for start in starts[:-1]:
        value, _ = next_value(search.text, start)
        found = NOTHING if value is None else get(value.raw, path)
        if found.exists:
            raws.append(found.raw)
    return Result("json", f"[{','.join(raws)}]")


def _query(search: _Search, i: int, query: Query, deeper: str | None) -> tuple[int, bool]:
    """Find the first matching element, or gather all; gathering is no find, so the walk continues after them."""
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
        raws.append(found.raw)
    if query.all and not search.value.exists:
        search.value = Result("json", f"[{','.join(filter(None, raws))}]")
    return i + 1, False


def _fits(element: Result, query: Query) -> bool:
    if element.type == "json":
        return query.holds(get(element.raw, query.path))
    return not query.path and query.holds(element)
