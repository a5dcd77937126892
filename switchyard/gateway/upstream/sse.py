"""Server-sent events, split anywhere by the network."""

EVENT_BYTES = 16 * 1024 * 1024  # of one event; a picture as base64 fits, and what never ends does not fill the memory


class EventTooLongError(ValueError):
    """An event exceeds ``EVENT_BYTES``."""


class Events:
    """Gathers bytes and gives the data of every event that is complete; comments and names are dropped.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    def __init__(self) -> None:
        self._line = b""  # the beginning of one whose end has not arrived
        self._data: list[bytes] = []
        self._size = 0  # bytes of the event at work, its incomplete line left out

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that ``data`` completes.

        Raises:
            EventTooLongError: an event is longer than anybody sends.
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
