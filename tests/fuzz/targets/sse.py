"""Server-sent events from an upstream: ``switchyard.http.sse``."""

from switchyard.http.sse import Events
from tests.fuzz.inputs import cut

TOKENS = (b"data:", b"data: ", b"\n\n", b"\r\n\r\n", b"\r", b"\n", b": comment\n", b"event: x\n", b"id:1\n", b"[DONE]")


def target(data: bytes) -> None:
    whole = Events().feed(data)
    events = Events()
    assert [event for chunk in cut(data) for event in events.feed(chunk)] == whole
    assert whole == _read(data)


def _read(stream: bytes) -> list[bytes]:
    """The events of ``stream``, read line by line.

    As https://html.spec.whatwg.org/multipage/server-sent-events.html says, but that a lone carriage return ends no
    line (no engine sends one) and that an event without data is none.
    """
    found: list[bytes] = []
    lines: list[bytes] = []
    for line in stream.replace(b"\r\n", b"\n").split(b"\n")[:-1]:
        if line:
            lines.append(line)
            continue
        data = b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
        found += [data] if data else []
        lines = []
    return found
