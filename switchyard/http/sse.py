"""Server-sent events, split anywhere by the network."""

import re

EVENT_BYTES = 16 * 1024 * 1024  # an image as base64 fits, and an event without end does not fill the memory

# Begins the comment by which a predictor says what a stream used, when the gateway asks: clients skip comments.
USAGE_COMMENT = b": usage "

EVENT = b"data: {"  # begins an event that is JSON, of which a stream has one for each token

_EVENT_END = b"\n\n"
# Whole comments behind an event: what follows the last is known, so that no line break is taken that is not theirs.
_COMMENTS = re.compile(rb"(?<=\n\n)(?:%b[^\n]*\n(?:\n|(?=[^\n])))+" % USAGE_COMMENT)
_UNFINISHED = re.compile(rb"(?<=\n\n)%b[^\n]*\n?\Z" % USAGE_COMMENT)
_COMMENT_BYTES = 4096  # of one that is held until its end is here; ours have some 200


class EventTooLongError(ValueError):
    """An event exceeds ``EVENT_BYTES``."""


class Events:
    """Parses an event stream into the data of its events; comments and names are dropped.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    def __init__(self) -> None:
        self._line = b""  # an incomplete one
        self._data: list[bytes] = []
        self._size = 0  # bytes of the incomplete event, without ``_line``

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of the events that ``data`` completes.

        Raises:
            EventTooLongError: an event exceeds ``EVENT_BYTES``.
        """
        found: list[bytes] = []
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if not line:
                event = b"\n".join(self._data)
                self._data, self._size = [], 0
                found += [event] if event else []
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._size += len(line)
        if self._size + len(self._line) > EVENT_BYTES:
            raise EventTooLongError(f"a server-sent event exceeds {EVENT_BYTES} bytes")
        return found


class UsageComments:
    """Removes usage comments, which stand between events, from a stream; all other bytes stay as they are."""

    __slots__ = ("_before", "_held")

    def __init__(self) -> None:
        self._before = _EVENT_END  # the line breaks that the chunk before ended with, at most two
        self._held = b""  # what may be a comment, or begin one

    def feed(self, data: bytes) -> bytes:
        """Return what of the stream can go on with the next chunk ``data``."""
        # Most chunks are whole events.
        if USAGE_COMMENT not in data and data.endswith(_EVENT_END) and self._before == _EVENT_END and not self._held:
            return data
        text = self._before + self._held + data
        if USAGE_COMMENT in text:  # found a hundred times as fast as by a pattern
            text = _COMMENTS.sub(b"", text)
        end = _held_from(text)
        out, self._held = text[len(self._before) : end], text[end:]
        last = text[max(end - 2, 0) : end]
        self._before = last if last == _EVENT_END else last[-1:] if last.endswith(b"\n") else b""
        return out

    def end(self) -> bytes:
        """Return the rest of a stream that has ended."""
        held, self._held = self._held, b""
        return b"" if held.startswith(USAGE_COMMENT) else held


def _held_from(text: bytes) -> int:
    """Return where the beginning of a comment begins that ends ``text``; its length if it ends with none."""
    start = max(len(text) - _COMMENT_BYTES, 0)
    found = _UNFINISHED.search(text, start) if text.find(USAGE_COMMENT, start) >= 0 else None
    if found is not None:
        return found.start()
    for size in range(len(USAGE_COMMENT) - 1, 0, -1):
        if text.endswith(_EVENT_END + USAGE_COMMENT[:size]):
            return len(text) - size
    return len(text)
