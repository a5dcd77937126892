"""Protobuf messages changed field by field, at any depth, with lengths, numbers and wire types that may lie."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)
_NUMBERS = (0, 1, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_FIELDS = (1, 2, 3, 5, 6, 7, 8, 15, 16, 2**28, 2**29)
_LIES = (-1, 1, 2, 127, 128, 2**14, 2**31 - 1, 2**32, 2**63 - 1, 2**64 - 1)
_TEXTS = (b"", b"\xff\xfe", b"\0", b"../../etc/passwd", b"a" * 300, b"%s%n", "é".encode() * 9, b"FP32", b"BYTES", b"-1")
_DEEP = 3000


@dataclass(frozen=True, slots=True)
class Node:
    """A field; of one that holds bytes, ``content`` may be its fields, and ``lie`` is added to its length."""

    number: int
    kind: int
    content: "int | bytes | tuple[Node, ...]"
    lie: int = 0

    def encoded(self) -> bytes:
        tag = varint(self.number << 3 | self.kind)
        if isinstance(self.content, int):
            return tag + varint(self.content)
        data = self.content if isinstance(self.content, bytes) else encoded(self.content)
        return tag + varint(max(0, len(data) + self.lie)) + data if self.kind == BYTES else tag + data


Nodes = tuple[Node, ...]


def varint(value: int, pad: int = 0) -> bytes:
    """``value``, by ``pad`` bytes longer than it needs to be."""
    out = bytearray()
    while value > 0x7F or pad:
        pad -= value <= 0x7F
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encoded(nodes: Nodes) -> bytes:
    return b"".join([node.encoded() for node in nodes])


def parsed(data: bytes, depth: int = 4) -> Nodes | None:
    """The fields of a message; those that hold bytes which look like a message hold its fields."""
    nodes, at = [], 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            number, kind = tag >> 3, tag & 7
            if not number:
                return None
            if kind == VARINT:
                value, at = _varint(data, at)
                nodes.append(Node(number, kind, value))
                continue
            length, at = _varint(data, at) if kind == BYTES else ({FIXED64: 8, FIXED32: 4}[kind], at)
            content = data[at : at + length]
            at += length
            inner = parsed(content, depth - 1) if kind == BYTES and depth and content else None
            nodes.append(Node(number, kind, content if inner is None else inner))
    except (IndexError, KeyError):
        return None
    return tuple(nodes) if at == len(data) else None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def changed(dice: random.Random, nodes: Nodes) -> bytes:
    """The message with one to three changes, encoded; the last may be one of its bytes."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        nodes = _changed(dice, nodes)
    data = encoded(nodes)
    return dice.choice(_BYTES)(dice, data) if dice.random() < 0.3 else data


def _changed(dice: random.Random, nodes: Nodes) -> Nodes:
    """One change, here or in a field."""
    if not nodes:
        return (_stray(dice),)
    at = dice.randrange(len(nodes))
    node = nodes[at]
    before, after = nodes[:at], nodes[at + 1 :]
    if isinstance(node.content, tuple) and dice.random() < 0.7:
        return (*before, replace(node, content=_changed(dice, node.content)), *after)
    match dice.randrange(9):
        case 0:
            return before + after
        case 1:
            return (*before, node, node, *after)
        case 2:
            return tuple(dice.sample(nodes, len(nodes)))
        case 3:
            return (*before, replace(node, number=dice.choice(_FIELDS)), *after)
        case 4:
            return (*before, replace(node, kind=dice.randrange(8)), *after)
        case 5 if node.kind == BYTES:
            return (*before, replace(node, lie=dice.choice(_LIES)), *after)
        case 6:
            return (*before, _stray(dice), node, *after)
        case _:
            content = dice.choice(_NUMBERS) if node.kind == VARINT else dice.choice(_TEXTS)
            return (*before, replace(node, content=content), *after)


def _stray(dice: random.Random) -> Node:
    """A field that nobody expects: groups without end, or deep, and large ones among them."""
    number = dice.choice((1, 2, 3, 4, 5, 6, 7, 9, 100, 2**29 - 1))
    match dice.randrange(5):
        case 0:
            return Node(number, GROUP, b"")
        case 1:
            return Node(1, GROUP, b"\x0b" * _DEEP + b"\x0c" * (_DEEP + 1))
        case 2:
            return Node(number, BYTES, dice.randbytes(dice.choice((1, 30, 5000))))
        case 3:
            return Node(number, VARINT, dice.choice(_NUMBERS))
        case _:
            return Node(number, BYTES, _nested(dice.choice((5, 1000)), number))


def _nested(depth: int, number: int) -> bytes:
    """Messages within messages."""
    data = b""
    for _ in range(depth):
        data = varint(number << 3 | BYTES) + varint(len(data)) + data
    return data


def _cut(dice: random.Random, data: bytes) -> bytes:
    return data[: dice.randint(0, len(data))]


def _replaced(dice: random.Random, data: bytes) -> bytes:
    at = dice.randint(0, len(data))
    return data[:at] + dice.randbytes(dice.randint(1, 4)) + data[at + dice.randint(0, 4) :]


def _overlong(dice: random.Random, data: bytes) -> bytes:
    """A number of more bytes than any has."""
    at = dice.randint(0, len(data))
    return data[:at] + varint(dice.choice(_NUMBERS), pad=dice.choice((1, 4, 9, 12))) + data[at:]


_BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (_cut, _replaced, _overlong)
