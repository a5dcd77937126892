"""Just enough of the protobuf wire format to read a name from a message and to write small answers.

https://protobuf.dev/programming-guides/encoding/
"""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _varint(data: bytes, at: int) -> tuple[int, int]:
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


def read_text(data: bytes, field: int) -> str:
    """The string in ``field`` of the encoded message ``data``, empty when absent.

    Raises:
        ValueError: the message is not well-formed up to that field.
    """
    try:
        at = 0
        while at < len(data):
            tag, at = _varint(data, at)
            kind = tag & 7
            if kind == _BYTES:
                size, at = _varint(data, at)
                if tag >> 3 == field:
                    if at + size > len(data):
                        raise ValueError("a field runs past the end of its message")
                    return data[at : at + size].decode()
                at += size
            elif kind == _VARINT:
                _, at = _varint(data, at)
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
            else:
                raise ValueError(f"unknown wire type {kind}")
    except IndexError as err:
        raise ValueError("the message ends within a field") from err
    return ""


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write(field: int, value: str | bytes | bool) -> bytes:
    """One encoded field; default values (empty, False) are left out, as proto3 does."""
    if not value and not isinstance(value, bytes):
        return b""
    if isinstance(value, bool):
        return _encode_varint(field << 3 | _VARINT) + b"\x01"
    data = value.encode() if isinstance(value, str) else value
    return _encode_varint(field << 3 | _BYTES) + _encode_varint(len(data)) + data
