"""Paths and bodies that are likely to meet: hypothesis strategies for GJSON."""

import json
from typing import Any

from hypothesis import strategies as st

KEYS = ("model", "a", "b", "c.d", "é", "", "*", "role", "0", "a\\b", "#", "x|y")
WORDS = ("chat-fast", "a", "b", "user", "", "5", "true", "null", "ünï", 'q"q', "line\nline", "<&>", "back\\slash", "😀")
NUMBERS = ("0", "-0", "1", "5", "10", "-3", "2.50", "1e3", "1E-2", "1e999", "123456789012345678901234567890", "0.1")
_BLANKS = st.sampled_from(("", "", "", " ", "\n", " \t"))
_MODIFIERS = (
    "@this",
    "@reverse",
    "@ugly",
    "@pretty",
    '@pretty:{"sortKeys":true}',
    '@pretty:{"indent":"\\t","width":0}',
    '@pretty:{"width":10,"prefix":" "}',
    "@flatten",
    '@flatten:{"deep":true}',
    "@join",
    '@join:{"preserve":true}',
    "@valid",
    "@keys",
    "@values",
    "@tostr",
    "@fromstr",
    "@group",
    "@dig:a",
    "@dig:#(a>1)",
    "@unknown",
)
_OPERATORS = ("=", "==", "!=", "<", "<=", ">", ">=", "%", "!%", "!")
_VALUES = (
    *(
        '""',
        '"a"',
        '"chat-fast"',
        '"*a*"',
        '"?"',
        '"5"',
        '"a\\"b"',
        '"\\u0061"',
        "5",
        "0",
        "1e3",
        "0x10p0",
        "1_000",
        "nan",
        "-inf",
    ),
    *("true", "false", "null", "~true", "~false", "~null", "~*", "~x", "a", "*", 'a"b', "", '"c\\\\*"'),
)


@st.composite
def strings(draw: st.DrawFn, words: st.SearchStrategy[str]) -> str:
    """A JSON string: plainly, with all that is not ASCII escaped, or with every character escaped."""
    word = draw(words)
    style = draw(st.integers(0, 9))
    if style == 0:
        return '"' + "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in word) + '"'
    if style == 1:
        return '"' + draw(st.sampled_from(("\\ud800", "\\udc00\\ud800", "\\ud83d\\ude00", "\\/", "\\b\\f"))) + '"'
    return json.dumps(word, ensure_ascii=style < 5)


@st.composite
def _object(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    keys = strings(st.sampled_from(KEYS))
    members = draw(st.lists(st.tuples(_BLANKS, keys, _BLANKS, _BLANKS, values, _BLANKS), max_size=4))
    return "{" + ",".join("".join((b1, key, b2, ":", b3, value, b4)) for b1, key, b2, b3, value, b4 in members) + "}"


@st.composite
def _array(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    elements = draw(st.lists(st.tuples(_BLANKS, values, _BLANKS), max_size=4))
    return "[" + ",".join("".join(parts) for parts in elements) + draw(_BLANKS) + "]"


_SCALARS = strings(st.sampled_from(WORDS)) | st.sampled_from(NUMBERS) | st.sampled_from(("true", "false", "null"))
_VALUE = st.recursive(_SCALARS, lambda values: _object(values) | _array(values), max_leaves=12)
_TEXT = st.one_of(_object(_VALUE), _object(_VALUE), _array(_VALUE), _VALUE)


@st.composite
def _chat(draw: st.DrawFn) -> str:
    """What clients send, with keys that may come twice."""
    model = st.sampled_from(("chat-fast", "chat-reasoning", "code"))
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(("user", "system")), "content": st.sampled_from(WORDS)},
        optional={"model": model},
    )
    fields: list[tuple[str, Any]] = [("messages", draw(st.lists(message, max_size=3)))]
    if draw(st.booleans()):
        fields.append(("model", draw(model | st.integers(0, 9) | st.none() | st.booleans())))
    if draw(st.integers(0, 4)) == 0:
        fields.append(("model", draw(model)))
    if draw(st.booleans()):
        fields.append(("temperature", draw(st.sampled_from((0, 0.5, 1.0, 2)))))
    inside = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in draw(st.permutations(fields)))
    return "{" + inside + "}"


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Mostly JSON; sometimes JSON lines, sometimes with a byte changed, dropped or added."""
    body = draw(st.one_of(_TEXT, _TEXT, _chat(), st.lists(_TEXT, min_size=1, max_size=3).map("\n".join))).encode()
    body = draw(_BLANKS).encode() + body + draw(_BLANKS).encode()
    if draw(st.integers(0, 5)) == 0 and body:
        place = draw(st.integers(0, len(body) - 1))
        body = body[:place] + draw(st.binary(max_size=2)) + body[place + draw(st.integers(0, 2)) :]
    return body


_COMPONENTS = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(
        (
            "messages",
            "temperature",
            "model",
            "0",
            "1",
            "-1",
            "01",
            "18446744073709551616",
            "#",
            "#",
            "*",
            "m*l",
            "?",
            "c\\.d",
        )
    ),
    st.sampled_from(_MODIFIERS),
    st.sampled_from(('!"a"', "!true", "!NULL", "!nan", "!5", '!{"a":1}', "![1]", "!x", "")),
)


@st.composite
def _query(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    path = draw(inner | st.just("") | st.sampled_from(("a", "model", "role", "b")))
    comparison = (
        "" if draw(st.integers(0, 3)) == 0 else draw(st.sampled_from(_OPERATORS)) + draw(st.sampled_from(_VALUES))
    )
    opening, closing = draw(st.sampled_from((("(", ")"), ("(", ")"), ("[", "]"))))
    blank = draw(st.sampled_from(("", " ")))
    return f"#{opening}{path}{blank}{comparison}{closing}" + draw(st.sampled_from(("", "#")))


@st.composite
def _multipath(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    members = draw(st.lists(inner, max_size=3))
    if draw(st.booleans()):
        return f"[{','.join(members)}]"
    names = draw(st.lists(st.sampled_from(("", '"n":', "n:", '"":')), min_size=len(members), max_size=len(members)))
    return "{" + ",".join(name + member for name, member in zip(names, members, strict=True)) + "}"


@st.composite
def _joined(draw: st.DrawFn, parts: st.SearchStrategy[str]) -> str:
    first, *rest = draw(st.lists(parts, min_size=1, max_size=4))
    return first + "".join(draw(st.sampled_from((".", ".", ".", "|"))) + part for part in rest)


_GRAMMAR = st.recursive(
    _joined(_COMPONENTS), lambda inner: _joined(st.one_of(_COMPONENTS, _query(inner), _multipath(inner))), max_leaves=6
)
_USUAL = st.sampled_from(
    (
        "model",
        "messages",
        "temperature",
        "messages.#",
        "messages.0.role",
        '[@this].#(model=="chat-fast")',
        '[@this].#(model=="chat-fast")#',
        '[@this].#(model%"chat-*")',
        "[@this].#(model>5)",
        "[@this].#(model==true)",
        '[@this].#(messages.#(role=="system"))',
        'messages.#(role=="system")',
        "messages.#(model)",
        '[@this].#(model!="chat-fast")',
        "@this.model",
        "a.b",
        "[@this].#(a.b)",
        'a.#(b<="b")',
        "[@this].#(a=5)",
    )
)


@st.composite
def _soup(draw: st.DrawFn) -> str:
    """Anything that may be spelled with the signs of the language."""
    return draw(st.text(alphabet='.|#()[]{}@!:,"\\*?~=<>% ab01thisé', max_size=14))


@st.composite
def paths(draw: st.DrawFn) -> str:
    path = draw(st.one_of(_GRAMMAR, _GRAMMAR, _USUAL, _soup()))
    if draw(st.integers(0, 9)) == 0:
        path = ".." + path
    if draw(st.integers(0, 7)) == 0 and path:
        place = draw(st.integers(0, len(path) - 1))
        path = path[:place] + draw(st.sampled_from(("", "|", ".", "#", "\\", '"', ")"))) + path[place + 1 :]
    return path
