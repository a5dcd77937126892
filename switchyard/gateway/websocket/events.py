"""Server-sent events with their ids and comments, split anywhere by the network."""

from typing import NamedTuple

from switchyard.http.sse import EVENT_BYTES, EventTooLongError


class Event(NamedTuple):
    """One event; or, where ``data`` is None, a comment."""

    data: bytes | None
    id: bytes = b""
    comment: bytes = b""


class EventParser:
    """Parses an event stream, as ``switchyard.http.sse.Events``, and keeps ids and comments too."""

    __slots__ = ("_data", "_id", "_line", "_size")

    def __init__(self) -> None:
        self._line = b""  # an incomplete one
        self._data: list[bytes] = []
        self._id = b""
        self._size = 0  # bytes of the incomplete event, without ``_line``

    def feed(self, data: bytes) -> list[Event]:
        """Return what ``data`` completes.

        Raises:
            EventTooLongError: an event exceeds ``EVENT_BYTES``.
        """
        found: list[Event] = []
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if not line:
                if self._data:
                    found.append(Event(b"\n".join(self._data), self._id))
                self._data, self._id, self._size = [], b"", 0
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._size += len(line)
            elif line.startswith(b"id:"):
                self._id = line[3:].strip()
            elif line.startswith(b":"):
                found.append(Event(None, comment=line[1:].strip()))
        if self._size + len(self._line) > EVENT_BYTES:
            raise EventTooLongError(f"a server-sent event exceeds {EVENT_BYTES} bytes")
        return found
