"""Server-sent events, split anywhere by the network."""

EVENT_BYTES = 16 * 1024 * 1024  # an image as base64 fits, and an event without end does not fill the memory

# Begins the comment by which a predictor says what a stream used, when the gateway asks: clients skip comments.
USAGE_COMMENT = b": usage "


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
