"""Bytes changed at random: strewn with tokens, or, where they hold JSON, changed as JSON and still JSON.

A fuzzer that changes single bytes hardly ever leaves a JSON body whole, and sees nothing of what is read out of one.
"""

import random
from collections.abc import Sequence
from typing import Any

import orjson

_STRANGE: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        5,
        255,
        2**31,
        -(2**63),
        2**64 - 1,
        0.5,
        1e300,
        "",
        "a",
        "BYTES",
        "FP32",
        "INT64",
    ),
    *([], {}, [[]], [1], [0, 0], [-1], [2**62, 2**62], ["a"], {"a": 1}, {"binary_data_size": 3}, "data:;base64,aGk="),
)


def strewn(dice: random.Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    """One change: a token or bytes put in, taken out, put in the place of others, or repeated."""
    start, end = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
    match dice.randrange(6):
        case 0 | 1:
            return data[:start] + dice.choice(tokens) + data[start:]
        case 2:
            return data[:start] + data[start + dice.randint(1, 8) :]
        case 3:
            return data[:start] + dice.randbytes(dice.randint(1, 4)) + data[start + dice.randint(0, 4) :]
        case 4:
            return data[:end] + data[start:end] + data[end:]
        case _:
            return data[:start] + dice.choice(tokens) + data[end:]


def changed_json(dice: random.Random, text: bytes) -> bytes | None:
    """``text`` with one value replaced, left out or doubled; None when it is no JSON."""
    try:
        root = [orjson.loads(text)]
    except orjson.JSONDecodeError:
        return None
    places = list(_places(root))
    holder, key = dice.choice(places)
    match dice.randrange(4):
        case 0:
            holder[key] = dice.choice(_STRANGE)
        case 1 if holder is not root:
            del holder[key]
        case 2 if isinstance(holder, list) and holder is not root:
            holder.insert(key, holder[key])
        case _:
            other, place = dice.choice(places)
            holder[key] = orjson.loads(orjson.dumps(other[place]))
    return orjson.dumps(root[0])


def changed_behind_length(dice: random.Random, data: bytes) -> bytes | None:
    """The same for a JSON head whose length stands in digits on a line before it, with bytes behind it."""
    digits, _, body = data.partition(b"\n")
    length = int(digits) if digits.isdigit() and len(digits) < 5 else len(body)
    head = changed_json(dice, body[:length])
    return None if head is None else b"%d\n%b%b" % (len(head), head, body[length:])


def changed_behind_line(dice: random.Random, data: bytes) -> bytes | None:
    """The same for JSON that follows a line of something else."""
    line, feed, body = data.partition(b"\n")
    made = changed_json(dice, body)
    return None if made is None else line + feed + made


def _places(value: Any) -> Any:
    """Every place of a value, as what holds it and its key or index."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
