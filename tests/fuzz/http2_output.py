"""What our side of an HTTP/2 connection wrote, read back."""

from dataclasses import dataclass, field

import hpack

from tests.fuzz.mutation import frames

Field = tuple[bytes, bytes]
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 5, 6, 7, 8


@dataclass(slots=True)
class Written:
    """The code of a GOAWAY (-1: none), the streams that were reset, and what went out on each stream."""

    goaway: int = -1
    reset: dict[int, int] = field(default_factory=dict)
    fields: dict[int, list[list[Field]]] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)


def read_back(out: bytes) -> Written:
    """What was written, which must be HTTP/2: whole frames, readable fields, nothing on a stream after its end."""
    decoder, written = hpack.Decoder(), Written()
    found = list(frames(out))
    assert sum(9 + len(payload) for _, _, _, payload in found) == len(out)
    for kind, flags, number, payload in found:
        assert kind != _PUSH_PROMISE
        assert (number == 0) == (kind in (_SETTINGS, _PING, _GOAWAY) or (kind == _WINDOW_UPDATE and not number))
        if kind == _GOAWAY:
            written.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == _RST_STREAM:
            written.reset[number] = int.from_bytes(payload, "big")
            written.ended.add(number)
        elif kind == _HEADERS:
            assert number not in written.ended
            block = [(bytes(name), bytes(value)) for name, value in decoder.decode(payload, raw=True)]
            assert block[0][0] == b":status" or number in written.fields  # what follows may be trailers
            written.fields.setdefault(number, []).append(block)
        elif kind == _DATA:
            assert number not in written.ended
            assert number in written.fields
            written.data[number] = written.data.get(number, b"") + payload
        if kind in (_HEADERS, _DATA) and flags & 1:
            written.ended.add(number)
    return written
