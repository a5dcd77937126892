"""Bodies without their long strings: ``switchyard.http.json_cost``."""

from typing import Any
from unittest.mock import patch

import orjson

from switchyard.http import json_cost
from switchyard.http.api_errors import ApiError
from tests.fuzz.mutation import changed_json

TOKENS = (
    *(b'{"model":"chat"}', b'"', b"\\", b'\\"', b"\\\\", b"\\u0041", b"{", b"[", b"]", b"}", b",", b":", b'""', b"1.5"),
    *(b"[[[[[[[[", b"x" * 300, b"\\n" * 20, "é".encode(), b"\xff", b"\n", b" ", b"null"),
)
SHAPED = changed_json


def target(data: bytes) -> None:
    short = _outline(data, 65536)
    assert _outline(data, 7) == short
    if short is None:
        return
    assert len(short) <= len(data)
    try:
        whole = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    assert _fits(orjson.loads(short), whole)


def _outline(data: bytes, step: int) -> bytes | None:
    """The outline, read in steps of so many bytes; None where the body is costly."""
    kept: list[bytes] = []
    reader = json_cost._Reader(data, kept)
    with patch.object(json_cost, "_STEP_BYTES", step):
        try:
            for _ in reader.read():
                pass
        except ApiError:
            return None
    return b"".join(kept)


def _fits(short: Any, whole: Any) -> bool:
    """Whether all is there but long strings; long keys have become the empty one."""
    if isinstance(whole, str):
        return bool(short == whole) or (short == "" and len(whole) > 16)
    if isinstance(whole, list):
        return len(short) == len(whole) and all(map(_fits, short, whole))
    if isinstance(whole, dict):
        return all(_fits(short.get(key, key), value) for key, value in whole.items() if 0 < len(key) <= 16)
    return bool(short == whole)
