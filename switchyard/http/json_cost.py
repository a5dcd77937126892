"""What a JSON body may cost: its parts and its depth are counted before it is parsed, in turns.

A parser builds an object of some 100 bytes for each part, in one call that nothing else of the process may interrupt:
32 MB of ``[],`` are 1 GB and seconds. Counting needs no memory, and others have their turn meanwhile.
"""

import asyncio
import re
from codecs import getincrementaldecoder
from collections.abc import Generator, Iterator
from time import perf_counter
from typing import Any

from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import not_json

# Strings, brackets, commas and colons in a body: a prompt of 128 Ki token ids twice over; some 25 ms to parse at worst.
JSON_PARTS = 256 * 1024
OUTLINE_BYTES = 4 * 1024 * 1024  # beside long strings: all those parts with 16 bytes each; copied twice, and parsed
JSON_DEPTH = 128  # as serde_json and protobuf's JSON have it; a JSON schema of ten levels has thirty
# Of a request to a language model. A server's validation tries an item as each kind that there is, and keeps every
# error: up to 2 ms and 1 MB for one that is no kind.
LIST_ITEMS = 2048  # messages, items, tools, prompts, inputs, documents; as many messages as OpenAI takes
ITEM_OBJECTS = 1024  # objects and lists within one message or item, such as the parts of its content
MESSAGE_OBJECTS = 8192  # and within all of them

_SMALL_BYTES = 64 * 1024  # below, there is no room for too many parts
_TURN_SECONDS = 0.002
_STEP_BYTES = 64 * 1024  # read at once: half a millisecond
_NO_STRUCTURE = bytes(set(range(256)) - set(b'{}[],:"'))
_OPENINGS, _CLOSINGS = b"{[", b"}]"
# Short: what an outline keeps, of at most 5 KB.
# An atomic group, no possessive quantifiers: before 3.11.5 Python goes on behind a possessive part that failed
# (https://github.com/python/cpython/issues/106052), and Debian 12 has 3.11.2.
_SHORT_STRING = rb'(?>"[^"\\]{0,256}(?:\\.[^"\\]{0,256}){0,16}")'
_SHORT_STRINGS = re.compile(_SHORT_STRING, re.DOTALL)
_PLAIN = re.compile(rb'(?:[^"]+|' + _SHORT_STRING + rb")*", re.DOTALL)
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_LISTS = ("messages", "input", "prompt", "documents", "system", "tools")
_OBJECTS = (dict, list)


async def check_json(body: bytes) -> None:
    """Check what a body would cost to parse; whether it is JSON is for the parser to say.

    Raises:
        ApiError: 413 it has too many parts; 400 it is nested too deeply.
    """
    if not is_cheap(body):
        await _in_turns(_Reader(body).read())


async def outline(body: bytes) -> bytes:
    """Return a body with its long strings emptied, as far as it is JSON: cheap to parse, however large it is.

    What is left out is UTF-8, and may still be invalid, so who gets the body itself checks it once more. Raises as
    ``check_json``, 413 where more than ``OUTLINE_BYTES`` are left, and 400 if the body is not UTF-8.
    """
    if is_cheap(body):
        return body
    kept: list[bytes] = []
    await _in_turns(_Reader(body, kept).read())
    await _in_turns(_decode(body))
    return b"".join(kept)


def check_items(payload: dict[str, Any]) -> None:
    """Check how many items a request to a language model has; ids of tokens are none.

    Raises:
        ApiError: 400 they are too many.
    """
    check_lists(payload)
    for name in ("messages", "input"):
        items, total = payload.get(name), 0
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                objects = _objects_in(item)
                total += objects
                if objects > ITEM_OBJECTS:
                    raise _too_many(f"{name}[{index}]", f"{objects} objects and lists", ITEM_OBJECTS)
        if total > MESSAGE_OBJECTS:
            raise _too_many(name, f"{total} objects and lists", MESSAGE_OBJECTS)


def check_lists(payload: dict[str, Any]) -> None:
    """Check the lists of a request alone, as ``check_items``: a cheap body has too few objects for its other limits."""
    for name, items in payload.items():
        too_long = isinstance(items, list) and len(items) > LIST_ITEMS and name in _LISTS
        if too_long and isinstance(items[0], (*_OBJECTS, str)):
            raise _too_many(name, f"{len(items)} items", LIST_ITEMS)


def _too_many(name: str, found: str, most: int) -> ApiError:
    return ApiError("invalid_value", f"{name} has {found}; at most {most} are taken", param=name)


def _objects_in(item: dict[str, Any]) -> int:
    count, within = 1, [item.values()]
    while within:
        for value in within.pop():
            if isinstance(value, _OBJECTS):
                count += 1
                within.append(value.values() if isinstance(value, dict) else value)  # type: ignore[arg-type]
    return count


def is_cheap(body: bytes) -> bool:
    """Return whether a body need not be checked."""
    return len(body) <= _SMALL_BYTES and body.count(b"[") + body.count(b"{") <= JSON_DEPTH


def _decode(body: bytes) -> Iterator[None]:
    """Decode a body in steps, and keep nothing of it."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(body), _STEP_BYTES):
            decoder.decode(body[at : at + _STEP_BYTES])
            yield
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise not_json(body, "it is not UTF-8") from None


async def _in_turns(steps: Iterator[None]) -> None:
    end = perf_counter() + _TURN_SECONDS
    for _ in steps:
        if perf_counter() > end:
            await asyncio.sleep(0)
            end = perf_counter() + _TURN_SECONDS


class _Reader:
    """Counts the parts of a body, and puts all of it but long strings into ``outline``, if there is one."""

    def __init__(self, body: bytes, outline: list[bytes] | None = None) -> None:
        self._outline = outline
        self._outline_bytes = 0
        self._body = body
        self._parts = 0
        self._depth = 0

    def read(self) -> Iterator[None]:
        """Read the body; whoever iterates may pause at each step."""
        body, at = self._body, 0
        while at < len(body):
            found = _PLAIN.match(body, at, at + _STEP_BYTES)
            assert found is not None
            plain, at = found.group(), found.end()
            self._keep(plain)
            self._count(_SHORT_STRINGS.sub(b'"', plain).translate(None, _NO_STRUCTURE))
            yield
            if body[at : at + 1] == b'"':
                at = yield from self._string(at)

    def _keep(self, text: bytes) -> None:
        if self._outline is None:
            return
        self._outline.append(text)
        self._outline_bytes += len(text)
        if self._outline_bytes > OUTLINE_BYTES:
            message = f"the body has more than {OUTLINE_BYTES} bytes beside its long texts; send less"
            raise ApiError("body_too_large", message)

    def _count(self, structure: bytes) -> None:
        self._add(len(structure))
        depth = self._depth
        for mark in structure:
            if mark in _OPENINGS:
                depth += 1
                if depth > JSON_DEPTH:
                    raise ApiError("invalid_value", f"the body is nested more than {JSON_DEPTH} levels deep")
            elif mark in _CLOSINGS:
                depth -= 1
        self._depth = depth

    def _add(self, parts: int) -> None:
        self._parts += parts
        if self._parts > JSON_PARTS:
            raise ApiError("body_too_large", f"the body has more than {JSON_PARTS} parts of JSON; send less")

    def _string(self, quote: int) -> Generator[None, None, int]:
        """Read the string that begins at ``quote``, long or not all of it in its step; return where it ends."""
        body = self._body
        self._add(1)
        end = body.find(b'"', quote + 1)
        if end < 0 or body.find(b"\\", quote + 1, end) >= 0:
            end = yield from self._end_of_string(quote + 1)
        whole = body[quote : end + 1] if end - quote < 5120 else b""
        ended = body[end : end + 1] == b'"'
        self._keep(whole if _SHORT_STRINGS.fullmatch(whole) else b'""' if ended else b'"')
        return end + 1

    def _end_of_string(self, at: int) -> Generator[None, None, int]:
        """Return where the string ends whose content begins at ``at``; it may have escapes."""
        body = self._body
        while True:
            found = _IN_STRING.match(body, at, at + _STEP_BYTES)
            assert found is not None
            end = found.end()
            if body[end : end + 1] == b'"' or end == at:  # or the body is cut off here
                return end
            at = end
            yield
