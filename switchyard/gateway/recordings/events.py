"""Server-sent events as whole blocks, which are numbered from 1 where a stream can be resumed."""

import re

# https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream: two line breaks end an event
_BOUNDARY = re.compile(rb"\r?\n\r?\n")
_END = b"\n\n"
_BEFORE = 3  # bytes of a boundary that may have come before its last one


class EventBlocks:
    """Cuts a stream into its events, each with the empty line that ends it; comments are blocks of their own."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def held(self) -> int:
        """How many bytes wait for the end of their event."""
        return len(self._rest)

    def is_event(self, data: bytes) -> bool:
        """Return whether ``data`` is one event, as most chunks are, and nothing waits for its end."""
        if self._rest or data.find(_END) != len(data) - 2 or len(data) <= len(_END):
            return False
        return not data.startswith((b":", b"\n")) and b"\r" not in data

    def feed(self, data: bytes) -> list[bytes]:
        """Return the blocks that ``data`` completes."""
        rest, searched = self._rest, max(len(self._rest) - _BEFORE, 0)
        rest += data
        ends = [found.end() for found in _BOUNDARY.finditer(rest, searched)]  # each byte is searched once
        blocks = [bytes(rest[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        if ends:
            del rest[: ends[-1]]
        return blocks

    def rest(self) -> bytes:
        """Return what a stream that has ended left without an end."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest


def is_comment(block: bytes) -> bool:
    """Return whether a block has comments alone, or nothing: no client sees an event in it."""
    if not block.startswith((b":", b"\r", b"\n")):
        return False
    return all(line.startswith(b":") or not line for line in block.splitlines())


def numbered(number: int, event: bytes) -> bytes:
    """Return an event with its number as its id, which clients send back as ``Last-Event-ID``."""
    return b"id: %d\n%b" % (number, event)
