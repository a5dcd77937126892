"""Frames of clients: ``switchyard.http.server.websocket.reader``, against a reader that knows well-formed ones only."""

from collections.abc import Iterable, Iterator

from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event

from switchyard.http.h2.budget import FrameBudget
from switchyard.http.server import ServerLimits
from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.reader import MessageReader, WebSocketError
from tests.fuzz.inputs import cut
from tests.fuzz.without_sockets import Loop

_MASK = b"\0\0\0\0"  # leaves the payload as it is
TOKENS = (
    *(b"\x81\x82" + _MASK + b"ab", b"\x01\x81" + _MASK + b"a", b"\x00\x80" + _MASK, b"\x80\x81" + _MASK + b"z"),
    *(b"\x89\x80" + _MASK, b"\x8a\x81\1\2\3\4x", b"\x88\x82" + _MASK + b"\x03\xe8", b"\x88\x80" + _MASK),
    *(b"\x81\xfe\x00\x80" + _MASK, b"\x81\xff" + bytes(5) + b"\1\0\0" + _MASK, b"\x82\x81" + _MASK + b"b"),
    *(b"\xc3\xa9", b"\xff", b"\xed\xa0\x80", b"\x81\xfe", b"\xc1", b"\x8b"),
)
_LIMITS = ServerLimits(message_bytes=512, control_frames=64, control_frames_per_second=0)
_loop = Loop()


def target(data: bytes) -> None:
    messages, code = _loop.run_until_complete(_read([data]))
    in_parts = _loop.run_until_complete(_read(cut(data)))
    assert messages == in_parts[0]
    assert bool(code) == bool(in_parts[1])  # a cut may show another fault of the same frame first
    assert messages == list(_well_formed(data))[: len(messages)]


async def _read(chunks: Iterable[bytes]) -> tuple[list[str], int]:
    """The messages, and the code with which the socket is closed; 0 if it is not."""
    control: list[Event] = []
    budget = FrameBudget(_LIMITS.control_frames, _LIMITS.control_frames_per_second)
    reader = MessageReader(Connection(ConnectionType.SERVER), _LIMITS, budget, lambda: 1.0, control.append)
    messages: list[str] = []
    fed = 0
    try:
        for chunk in chunks:
            fed += len(chunk)
            reader.feed(chunk)
            while reader.messages:
                messages.append(reader.take().decode())
                reader.feed(b"")
            assert reader.held <= min(fed, _LIMITS.message_bytes + len(chunk))
    except WebSocketError as err:
        if err.code not in codes.SENT:
            raise
        messages += [message.decode() for message in reader.messages]
        return messages, int(err.code)
    return messages, next((int(event.code) for event in control if isinstance(event, CloseConnection)), 0)


def _well_formed(data: bytes) -> Iterator[str]:
    """The text messages up to the first frame that is none or asks to close (RFC 6455 §5.2)."""
    text, at = b"", 0
    while len(data) - at >= 6:
        first, size, start = data[at], data[at + 1] & 0x7F, at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(data[start : start + width], "big"), start + width
        mask, payload = data[start : start + 4], data[start + 4 : start + 4 + size]
        if len(payload) < size or first & 0x0F in (2, 8):
            return
        if not first & 0x08:
            text += bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
            if first & 0x80:
                yield text.decode(errors="replace")
                text = b""
        at = start + 4 + size
