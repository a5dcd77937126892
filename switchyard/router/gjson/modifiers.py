"""Modifiers: path components that compute JSON from JSON, such as ``@keys`` (gjson.go: execModifier, mod…)."""

from collections.abc import Callable, Mapping

from switchyard.router.gjson import scan, strings
from switchyard.router.gjson.path import MODIFIERS
from switchyard.router.gjson.pretty import Style, pretty, ugly
from switchyard.router.gjson.result import Result, parse
from switchyard.router.gjson.valid import is_valid_text

Get = Callable[[str, str], Result]

_BLANKS = " \t\n\r"
_GO_SPACES = " \t\n\v\f\r"


def run(text: str, path: str, get: Get) -> tuple[str, str] | None:
    """Apply the modifier at the start of ``path`` to ``text``; return the result and the rest of the path, or None."""
    end = next((i for i in range(1, len(path)) if path[i] in ":|."), len(path))
    name, rest, argument = path[1:end], path[end:], ""
    if name not in MODIFIERS:
        return None
    if rest.startswith(":"):
        rest = rest[1:]
        length = _argument_length(rest)
        argument, rest = rest[:length], rest[length:]
    if name == "dig":
        return _dig(text, argument, get), rest
    return _FUNCTIONS[name](text, argument), rest


def _argument_length(rest: str) -> int:
    """Return the length of the argument: a JSON value, or all up to a pipe outside brackets and strings."""
    if rest[:1] in ("{", "[", '"'):
        return scan.balanced_end(rest)
    i = 0
    while i < len(rest) and rest[i] != "|":
        i = scan.balanced_end(rest, i) if rest[i] in '{["(' else i + 1
    return i


def _options(argument: str) -> dict[str, Result]:
    return {key.text: value for key, value in parse(argument).members()}


def _flag(options: Mapping[str, Result], name: str) -> bool:
    return name in options and options[name].truth()


def _pretty(text: str, argument: str) -> str:
    options = _options(argument)
    style = Style(
        width=options["width"].integer() if "width" in options else 80,
        prefix=_blank(str(options["prefix"])) if "prefix" in options else "",
        indent=_blank(str(options["indent"])) if "indent" in options else "  ",
        sorts_keys=_flag(options, "sortKeys"),
    )
    return pretty(text, style)


def _blank(text: str) -> str:
    return "".join(char for char in text if char in _BLANKS)


def _reverse(text: str, _: str) -> str:
    value = parse(text)
    members = list(value.members())[::-1]
    if value.is_array:
        return f"[{','.join(element.raw for _, element in members)}]"
    if value.is_object:
        return "{" + ",".join(f"{key.raw}:{member.raw}" for key, member in members) + "}"
    return text


def _flatten(text: str, argument: str) -> str:
    value = parse(text)
    if not value.is_array:
        return text
    deep = _flag(_options(argument), "deep")
    raws = []
    for _, element in value.members():
        raw: str = element.raw
        if element.is_array:
            raw = _unwrapped(_flatten(raw, argument) if deep else raw)
        raws.append(raw.strip(_GO_SPACES))
    return f"[{','.join(filter(None, raws))}]"


def _unwrapped(text: str) -> str:
    text = strings.trim(text)
    return text[1:-1] if len(text) >= 2 and text[0] in "[{" else text


def _join(text: str, argument: str) -> str:
    value = parse(text)
    if not value.is_array:
        return text
    objects = [element for _, element in value.members() if element.is_object]
    if _flag(_options(argument), "preserve"):
        return "{" + ",".join(_unwrapped(item.raw) for item in objects) + "}"
    joined: dict[str, tuple[str, str]] = {}
    for item in objects:
        for key, member in item.members():
            # A key that comes again keeps its first place and spelling and takes the last value.
            raw_key, _ = joined.get(key.text, (key.raw, ""))
            joined[key.text] = raw_key, member.raw
    return "{" + ",".join(f"{raw_key}:{raw}" for raw_key, raw in joined.values()) + "}"


def _keys(text: str, _: str) -> str:
    value = parse(text)
    return f"[{','.join(key.raw if value.is_object else 'null' for key, _ in value.members())}]"


def _values(text: str, _: str) -> str:
    value = parse(text)
    return text if value.is_array else f"[{','.join(member.raw for _, member in value.members())}]"


def _group(text: str, argument: str) -> str:
    value = parse(text)
    if not value.is_object:
        return ""
    rows: list[list[str]] = []
    for key, member in value.members():
        if not member.is_array:
            continue
        for i, (_, element) in enumerate(member.members()):
            if i == len(rows):
                rows.append([])
            rows[i].append(f"{key.raw}:{element.raw}")
    return "[" + ",".join("{" + ",".join(row) + "}" for row in rows) + "]"


def _dig(text: str, path: str, get: Get) -> str:
    """Return what ``path`` finds in the value and in everything inside it, from the outside in."""
    raws, todo = [], [parse(text)]
    while todo:
        value = todo.pop()
        found = get(value.raw, path)
        if found.exists:
            raws.append(found.raw)
        if value.type == "json":
            todo.extend([member for _, member in value.members()][::-1])
    return f"[{','.join(raws)}]"


_FUNCTIONS: Mapping[str, Callable[[str, str], str]] = {
    "flatten": _flatten,
    "fromstr": lambda text, _: str(parse(text)) if is_valid_text(text) else "",
    "group": _group,
    "join": _join,
    "keys": _keys,
    "pretty": _pretty,
    "reverse": _reverse,
    "this": lambda text, _: text,
    "tostr": lambda text, _: strings.quote(text),
    "ugly": lambda text, _: ugly(text),
    "valid": lambda text, _: text if is_valid_text(text) else "",
    "values": _values,
}
