"""What is counted of a JSON body before it is parsed, and how long others wait for it."""

import asyncio
import json
import random
from contextlib import suppress
from time import thread_time
from typing import Any

import orjson
import pytest

from switchyard.http import json_cost
from switchyard.http.api_errors import ApiError
from switchyard.http.json_cost import (
    ITEM_OBJECTS,
    JSON_DEPTH,
    JSON_PARTS,
    LIST_ITEMS,
    MESSAGE_OBJECTS,
    OUTLINE_BYTES,
    check_items,
    check_json,
    check_lists,
    is_cheap,
    outline,
)

LARGE = 16 * 1024 * 1024
MANY, DEEP = (413, "body_too_large"), (400, "invalid_value")


def many(unit: bytes) -> bytes:
    """A list of so many units that they are more bytes than any limit of ours."""
    return b'{"a":[' + b",".join([unit] * (LARGE // (len(unit) + 1))) + b"]}"


COSTLY: dict[str, tuple[bytes, tuple[int, str]]] = {
    "lists": (many(b"[]"), MANY),
    "objects": (many(b"{}"), MANY),
    "members": (many(b'{"":0}'), MANY),
    "numbers": (many(b"1.5"), MANY),
    "strings": (many(b'"abcdef"'), MANY),
    "empty strings": (many(b'""'), MANY),
    "nothing": (many(b""), MANY),
    "strings without anything between": (b'"' * LARGE, MANY),
    "depth": (b"[" * (JSON_DEPTH + 1) + b"]" * (JSON_DEPTH + 1), DEEP),
    "depth without an end": (b"[" * LARGE, DEEP),
    "depth of objects": (b'{"a":' * LARGE, DEEP),
    "depth behind a long string": (b'["' + b"x" * LARGE + b'"' + b",[" * JSON_DEPTH, DEEP),
}
CHEAP: dict[str, bytes] = {
    "one long string": b'{"a":"' + b"x" * LARGE + b'"}',
    "a string of escapes": b'{"a":"' + b"\\u0061" * (LARGE // 6) + b'"}',
    "a string of quotes": b'{"a":"' + b'\\"' * (LARGE // 2) + b'"}',
    "a string of backslashes": b'{"a":"' + b"\\" * LARGE + b'"}',
    "a string of brackets": b'{"a":"' + b"[" * LARGE + b'"}',
    "as deep as may be": b"[" * JSON_DEPTH + b"]" * JSON_DEPTH,
    "as many parts as may be": b"[" + b"," * (JSON_PARTS - 2) + b"]",
    "ids of tokens": orjson.dumps({"prompt": list(range(131_072))}),
    "a string without an end": b'{"a":"' + b"x" * LARGE,
    "blanks": b" " * OUTLINE_BYTES,
    "no JSON": bytes(range(128)) * 1000,
}


OUTLINED: dict[str, bytes] = {
    "more blanks": b" " * (OUTLINE_BYTES + 1),
    "short texts": b"[" + b",".join([b'"' + b"x" * 256 + b'"'] * (OUTLINE_BYTES // 256)) + b"]",
    "a long number": b"1" * (OUTLINE_BYTES + 1),
}


def failed(err: ApiError) -> tuple[int, str]:
    return err.status, err.code


@pytest.mark.parametrize(("body", "expected"), COSTLY.values(), ids=COSTLY)
async def test_a_body_that_would_be_costly_is_rejected_before_it_is_parsed(
    body: bytes, expected: tuple[int, str]
) -> None:
    for check in (check_json, outline):
        with pytest.raises(ApiError) as rejected:
            await check(body)
        assert failed(rejected.value) == expected


@pytest.mark.parametrize("body", CHEAP.values(), ids=CHEAP)
async def test_a_body_is_not_rejected_for_its_text(body: bytes) -> None:
    await check_json(body)
    assert len(await outline(body)) <= len(body)


@pytest.mark.parametrize("body", OUTLINED.values(), ids=OUTLINED)
async def test_an_outline_is_small_however_large_the_body_is_beside_its_long_texts(body: bytes) -> None:
    await check_json(body)
    with pytest.raises(ApiError) as rejected:
        await outline(body)
    assert failed(rejected.value) == MANY


@pytest.mark.parametrize("body", [*(body for body, _ in COSTLY.values()), *CHEAP.values()], ids=[*COSTLY, *CHEAP])
async def test_others_have_their_turn_while_a_body_is_read(body: bytes) -> None:
    longest, over = 0.0, False  # in processor time: on a busy machine the test itself waits

    async def others() -> None:
        nonlocal longest
        while not over:
            began = thread_time()
            await asyncio.sleep(0)
            longest = max(longest, thread_time() - began)

    waiting = asyncio.create_task(others())
    await asyncio.sleep(0)
    with suppress(ApiError):
        await outline(body)
    over = True
    await waiting
    assert longest < 0.1  # some 5 ms are usual; 0.2 to 5 s where a body is parsed at once


async def test_an_outline_is_the_body_without_its_long_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    monkeypatch.setattr(json_cost, "_SMALL_BYTES", -1)

    def text() -> str:
        return "".join(draw.choices('ab"\\\n\té😀{}[],:', k=draw.choice((0, 3, 20, 300, 3000))))

    def value(depth: int) -> Any:
        kind = draw.randrange(8 if depth < 6 else 5)
        if kind == 0:
            return draw.choice([1, 2.5, None, True])
        if kind < 5:
            return text()
        values = [value(depth + 1) for _ in range(draw.randrange(5))]
        return values if kind < 7 else {f'"k\\{index}"': one for index, one in enumerate(values)}

    for _ in range(300):
        whole = value(0)
        for encoded in (orjson.dumps(whole), json.dumps(whole, indent=1).encode()):
            for step in (2, 7, 64, 65536):
                monkeypatch.setattr(json_cost, "_STEP_BYTES", step)
                assert fits(orjson.loads(await outline(encoded)), whole)


def fits(short: Any, whole: Any) -> bool:
    """Whether all is there but long strings."""
    if isinstance(whole, str):
        return bool(short == whole) or (short == "" and len(whole) > 16)
    if isinstance(whole, list):
        return len(short) == len(whole) and all(map(fits, short, whole))
    if isinstance(whole, dict):
        return list(short) == list(whole) and all(map(fits, short.values(), whole.values()))
    return bool(short == whole)


MESSAGE = {"role": "user", "content": "x"}


def with_parts(parts: int) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "x"}] * parts}


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        ({"messages": [MESSAGE] * LIST_ITEMS}, None),
        ({"messages": [MESSAGE] * (LIST_ITEMS + 1)}, "messages"),
        ({"input": [MESSAGE] * (LIST_ITEMS + 1)}, "input"),
        ({"tools": [{}] * (LIST_ITEMS + 1)}, "tools"),
        ({"system": [{}] * (LIST_ITEMS + 1)}, "system"),
        ({"prompt": ["x"] * (LIST_ITEMS + 1)}, "prompt"),
        ({"prompt": [[1]] * (LIST_ITEMS + 1)}, "prompt"),
        ({"prompt": [1] * 131_072}, None),
        ({"input": [1] * 131_072}, None),
        ({"documents": ["x"] * (LIST_ITEMS + 1)}, "documents"),
        ({"messages": [with_parts(ITEM_OBJECTS - 2)]}, None),  # the message and its list count
        ({"messages": [MESSAGE, with_parts(ITEM_OBJECTS - 1)]}, "messages[1]"),
        ({"input": [with_parts(ITEM_OBJECTS - 1)]}, "input[0]"),
        ({"input": [{"content": [{"annotations": [[{}]] * ITEM_OBJECTS}]}]}, "input[0]"),
        ({"messages": [with_parts(ITEM_OBJECTS - 2)] * (MESSAGE_OBJECTS // ITEM_OBJECTS)}, None),
        ({"messages": [with_parts(ITEM_OBJECTS - 2)] * (MESSAGE_OBJECTS // ITEM_OBJECTS + 1)}, "messages"),
        ({"messages": "x", "input": None, "tools": {}, "prompt": []}, None),
        ({"messages": [1, "x", None]}, None),
    ],
)
def test_a_request_has_so_many_items_and_no_more(payload: dict[str, Any], param: str | None) -> None:
    check = check_lists if is_cheap(orjson.dumps(payload)) else check_items
    if param is None:
        check(payload)
        check_items(payload)
        return
    with pytest.raises(ApiError) as rejected:
        check(payload)
    assert (rejected.value.status, rejected.value.param) == (400, param)
    assert param in rejected.value.message
