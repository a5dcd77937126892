"""Just enough of the protobuf wire format to read some fields of a message and to write small messages.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from functools import partial

VARINT, BYTES = 0, 2
_FIXED64, _FIXED32 = 1, 5
_TWICE = "a field that may occur once occurs twice, with different values"
_MOST_FIELDS = 10_000  # a V2 request has three for each tensor; as many are read in some milliseconds


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at``, and where it ends.

    Raises:
        ValueError: it is longer than ten bytes.
        IndexError: ``data`` ends within it.
    """
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint of more than ten bytes")


def fields(
    data: bytes, at: int = 0, size: int | None = None, *, cut_off: bool = False
) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, start and end of each field of the encoded message from ``at`` to ``size``.

    With ``cut_off``, ``data`` is only the beginning of a message: the last field may end behind it.

    Raises:
        ValueError: the message is malformed, or has more fields than any V2 message.
    """
    size = len(data) if size is None else size
    count = 0
    try:
        while at < size:
            count += 1
            if count > _MOST_FIELDS:
                raise ValueError(f"more than {_MOST_FIELDS} fields in a message")
            tag, start = data[at], at + 1
            if tag > 0x7F:  # most have one byte, and each call pays for this
                tag, start = _tag(data, at)
            kind = tag & 7
            if kind == BYTES:
                length, start = data[start], start + 1
                if length > 0x7F:
                    length, start = varint(data, start - 1)
                at = start + length
            else:
                at = _end(data, start, kind)
            if at > size and not cut_off:
                raise IndexError
            yield tag >> 3, kind, start, at
    except IndexError:
        if not cut_off:
            raise ValueError("the message ends within a field") from None


def read_text(data: bytes, field: int, *, cut_off: bool = False) -> str:
    """Return the string in ``field`` of the encoded message ``data``, empty when absent.

    Protobuf takes the last of two fields of one number; two that differ are rejected here, so that no server behind can
    read another name. With ``cut_off``, ``data`` is only the beginning of a message, and an incomplete field at its end
    is ignored, unless it is ``field`` itself.

    Raises:
        ValueError: the message is malformed, has more fields than any V2 message, or holds two such strings.
    """
    found: bytes | None = None
    for number, kind, start, end in fields(data, cut_off=cut_off):
        if number == field and kind == BYTES:
            found = once(found, data, start, end)
    return (found or b"").decode()


def _tag(data: bytes, at: int) -> tuple[int, int]:
    """Return a field's number and wire type as one, and where they end.

    Parsers in C++ keep 32 bits of it: a longer one would be another field to them.
    """
    tag, at = varint(data, at)
    if tag >> 32:
        raise ValueError("a field's number has more than 29 bits")
    return tag, at


def once(before: bytes | None, data: bytes, start: int, end: int) -> bytes:
    """Return the content of a field that may occur ``before`` with the same content only.

    Raises:
        ValueError: it differs, or is incomplete.
    """
    if end > len(data):
        raise ValueError("a field runs past the end of its message")
    value = data[start:end]
    if before is not None and before != value:
        raise ValueError(_TWICE)
    return value


class TextGuard:
    """Follows a gRPC message, from its prefix on, as its bytes pass by, and holds one field to the value that was read.

    Whoever reads a name from a message's beginning and hands the message on would otherwise let its end name another:
    protobuf takes the last. Once the field ``last`` has passed, no field of a lower number may follow.
    """

    _FIELD_BYTES = 2 * 10  # a tag and a length

    def __init__(self, field: int, value: str, last: int | None = None, message: str = _TWICE) -> None:
        self._field = field
        self._message = message
        self._last = last
        self._lowest = 0
        self._value = value.encode()
        self._rest = b""  # of a field that is looked at and has not come whole
        self._skip = 5  # bytes that are not looked at
        self._fields = 0

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the call; what follows the message may be anything that is no such field.

        Raises:
            ValueError: the message has the field with another value, is not well-formed or has too many fields.
        """
        data, at = self._rest + chunk, self._skip
        while at < len(data):
            end = self._next(data, at)
            if end is None:
                break
            at = end
        self._rest = data[at:]
        self._skip = max(at - len(data), 0)

    def _next(self, data: bytes, at: int) -> int | None:
        """Return where the field that begins at ``at`` ends, None when more of it must come first."""
        try:
            tag, start = _tag(data, at)
            end = _end(data, start, tag & 7)
        except IndexError:
            if len(data) - at > self._FIELD_BYTES:
                raise ValueError("a varint of more than ten bytes") from None
            return None
        number = tag >> 3
        if number < self._lowest:
            raise ValueError(
                f"field {number} comes after field {self._last}; fields come in the order of their numbers"
            )
        if number == self._last:
            self._lowest = number
        if number == self._field and tag & 7 == BYTES:
            size, start = varint(data, start)
            if size != len(self._value):
                raise ValueError(self._message)
            if end > len(data):
                return None
            if data[start:end] != self._value:
                raise ValueError(self._message)
        self._fields += 1
        if self._fields > _MOST_FIELDS:
            raise ValueError(f"more than {_MOST_FIELDS} fields in a message")
        return end


class MessagesGuard:
    """Follows all messages of a gRPC stream in the same way, from the first prefix on."""

    _PREFIX_BYTES = 5  # whether it is compressed, and its length

    def __init__(self, field: int, value: str) -> None:
        message = f"this stream was opened for {value}: each of its messages names that, uncompressed"
        self._message = message
        self._next_guard = partial(TextGuard, field, value, message=message)
        self._guard = self._next_guard()
        self._prefix = b""
        self._left = 0  # bytes of the current message

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream.

        Raises:
            ValueError: a message has the field with another value, is not well-formed or is compressed.
        """
        while chunk:
            if not self._left:
                missing = self._PREFIX_BYTES - len(self._prefix)
                self._prefix, chunk = self._prefix + chunk[:missing], chunk[missing:]
                if len(self._prefix) < self._PREFIX_BYTES:
                    return
                if self._prefix[0]:
                    raise ValueError(self._message)
                self._guard, self._left = self._next_guard(), int.from_bytes(self._prefix[1:], "big")
                self._guard.feed(self._prefix)
                self._prefix = b""
            part, chunk = chunk[: self._left], chunk[self._left :]
            self._guard.feed(part)
            self._left -= len(part)


def _end(data: bytes, at: int, kind: int) -> int:
    """Return where the content of a field of this wire type ends, if it begins at ``at``."""
    if kind == BYTES:
        size, at = varint(data, at)
        return at + size
    if kind == VARINT:
        return varint(data, at)[1]
    if kind in (_FIXED64, _FIXED32):
        return at + (8 if kind == _FIXED64 else 4)
    raise ValueError(f"unknown wire type {kind}")


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write(field: int, value: str | bytes | bool | int) -> bytes:
    """Encode one field; default values (empty, False, 0) are left out, as proto3 does."""
    if not value and not isinstance(value, bytes):
        return b""
    if isinstance(value, int):  # bool is one
        return _encode_varint(field << 3 | VARINT) + _encode_varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _encode_varint(field << 3 | BYTES) + _encode_varint(len(data)) + data
