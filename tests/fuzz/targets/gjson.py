"""Conditions on bodies: ``switchyard.router.gjson``; the input is a path, a line feed, and a body."""

from switchyard.router import gjson
from tests.fuzz.mutation import changed_behind_line

TOKENS = (
    *(b'{"model":"chat"}', b"[@this]", b".#(", b'=="chat")', b"@keys", b"@pretty:", b"..", b"|", b"*", b"#", b"\\"),
    *(b'"', b"{", b"[", b"]}", b"[[[[", b"messages", b"1e999", b"-0", b"\\ud83d", b"!true", b"~null", b"\n", b":"),
)
_COMPUTING = frozenset("@!{[")  # a path with one of these may find what is not in the text
SHAPED = changed_behind_line


def target(data: bytes) -> None:
    line, _, body = data.partition(b"\n")
    path = line.decode("utf-8", "replace")
    if path.count("@dig") > 1:  # a graph that digs in what it dug out costs the square, and its author would see it
        return
    valid = gjson.is_valid_json(body)
    held = gjson.compile(path).holds(body)
    assert held <= valid
    assert gjson.compile(path).holds(gjson.Body(body)) is held
    try:
        found = gjson.get(body.decode("latin-1"), path.encode().decode("latin-1"))
    except RecursionError:  # as deep as this is no condition tested: it does not hold
        assert not held or _is_plain(path)
        return
    if valid:  # the short way over what orjson decoded, against the walk through the text
        assert held == found.exists
    if not _COMPUTING & set(path) and "#" not in path:
        assert found.raw.encode("latin-1") in body


def _is_plain(path: str) -> bool:
    return not _COMPUTING & set(path) and "|" not in path
