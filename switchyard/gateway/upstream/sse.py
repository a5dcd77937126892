"""Server-sent events, split anywhere by the network."""


class Events:
    """Gathers bytes and gives the data of every event that is complete; comments and names are dropped.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that ``data`` completes."""
        held = (self._rest + data).replace(b"\r\n", b"\n")
        tail = b""
        if held.endswith(b"\r"):  # perhaps half a line end
            held, tail = held[:-1], b"\r"
        *whole, rest = held.split(b"\n\n")
        self._rest = rest + tail
        return [found for found in map(_data, whole) if found]


def _data(event: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)
