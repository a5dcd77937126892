"""Bytes changed at random: strewn with tokens, or, where they hold JSON, changed as JSON and still JSON.

A fuzzer that changes single bytes hardly ever keeps a JSON body whole, and sees nothing of what is read out of one.
"""

import random
from collections.abc import Iterator, Sequence
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
    """The same for JSON whose length stands in digits on a line before it, with bytes behind it."""
    digits, _, body = data.partition(b"\n")
    length = int(digits) if digits.isdigit() and len(digits) < 5 else len(body)
    head = changed_json(dice, body[:length])
    return None if head is None else b"%d\n%b%b" % (len(head), head, body[length:])


def changed_behind_line(dice: random.Random, data: bytes) -> bytes | None:
    """The same for JSON that follows a line of something else."""
    line, feed, body = data.partition(b"\n")
    made = changed_json(dice, body)
    return None if made is None else line + feed + made


def changed_lines(dice: random.Random, data: bytes) -> bytes | None:
    """``data`` with one of its lines left out, doubled, moved, or exchanged with another; None when it has but one."""
    lines = data.split(b"\r\n")
    if len(lines) < 2:
        return None
    here, there = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            del lines[here]
        case 1:
            lines.insert(there, lines[here])
        case 2:
            lines.insert(there, lines.pop(here))
        case _:
            lines[here], lines[there] = lines[there], lines[here]
    return b"\r\n".join(lines)


def changed_frames(dice: random.Random, data: bytes) -> bytes | None:
    """``data`` with one HTTP/2 frame left out, doubled, moved, split, or of another kind, flag, stream or payload."""
    found = list(frames(data))
    if not found:
        return None
    at = dice.randrange(len(found))
    kind, flags, number, payload = found[at]
    match dice.randrange(8):
        case 0:
            del found[at]
        case 1:
            found.insert(dice.randrange(len(found)), found[at])
        case 2:
            found.insert(dice.randrange(len(found)), found.pop(at))
        case 3:
            found[at] = (dice.randrange(11), flags, number, payload)
        case 4:
            found[at] = (kind, flags ^ 1 << dice.randrange(8), number, payload)
        case 5:
            found[at] = (kind, flags, dice.choice((0, 1, 1, 2, 3, 5, 7, 2**31 - 1)), payload)
        case 6:
            found[at] = (kind, flags, number, strewn(dice, payload, (b"\0", b"\xff\xff\xff\xff", b"\x80", b"\0\0\0\1")))
        case _:
            cut = dice.randint(0, len(payload))  # a block of header fields that goes on in the next frame
            found[at : at + 1] = [(kind, flags & ~4, number, payload[:cut]), (9, 4, number, payload[cut:])]
    return b"".join(
        [
            len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body
            for kind, flags, stream, body in found
        ]
    )


def frames(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The frames in ``data``: kind, flags, stream and payload; the last one may be cut short."""
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        yield data[3], data[4], int.from_bytes(data[5:9], "big") & 2**31 - 1, data[9 : 9 + length]
        data = data[9 + length :]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value, as what holds it and its key or index."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
