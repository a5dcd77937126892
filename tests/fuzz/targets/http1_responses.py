"""Responses of an upstream: ``switchyard.http.client`` around llhttp, against h11.

The input is the method that was asked with, a line feed, and what the upstream sends before it closes the connection.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import h11

from switchyard.http.client import Client, Limits, Response
from switchyard.http.client.errors import UpstreamError
from tests.fuzz.inputs import cut
from tests.fuzz.mutation import changed_lines
from tests.fuzz.without_sockets import Loop

TOKENS = (
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 None\r\n"),
    *(
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
    ),
    *(
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"HEAD\n",
        b" 304 ",
        b" 101 ",
        b" 999 ",
        b" 000 ",
        b"\0",
        b"\xff",
    ),
    *(
        b"Connection: keep-alive\r\n",
        b"Upgrade: h2c\r\n",
        b";ext=1",
        b"gzip, chunked",
        b"\r",
        b"+5",
        b": ",
        b"\t",
        b" ",
    ),
)
SHAPED = changed_lines
_LIMITS = Limits(header_bytes=1024, response_bytes=2048, buffer_bytes=256)
_METHODS = (b"GET", b"HEAD", b"POST")
_loop = Loop()


@dataclass(frozen=True, slots=True)
class _Read:
    """What a caller got: a response, or the kind of its failure."""

    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    error: str = ""


def target(data: bytes) -> None:
    method, _, sent = data.partition(b"\n")
    if method not in _METHODS:
        method = b"GET"
    whole = _asked(method, [sent])
    assert _asked(method, cut(sent)) == whole
    assert len(whole.body) <= _LIMITS.response_bytes
    assert sum(len(name) + len(value) for name, value in whole.headers) <= _LIMITS.header_bytes
    if not whole.error:
        assert 200 <= whole.status <= 999
        reference = _by_h11(method, sent)
        if reference is not None:
            assert (whole.status, whole.body) == (reference.status, reference.body)
            assert _comparable(whole) == _comparable(reference)


def _asked(method: bytes, chunks: Iterable[bytes]) -> _Read:
    asking = _loop.create_task(_ask(method))
    _loop.turn()
    wire = _loop.wires[-1]
    _loop.feed(wire, chunks)
    _loop.call_soon(wire.lose)
    _loop.turn()
    assert asking.done(), "the caller waits for ever"
    _loop.check()
    return asking.result()


async def _ask(method: bytes) -> _Read:
    client = Client(_LIMITS)
    response: Response | None = None
    try:
        response = await client.request(method, "http://127.0.0.1/", [])
        body = await response.read()
        return _Read(response.status, tuple(response.headers), body)
    except UpstreamError as err:
        return _Read(error=type(err).__name__)
    finally:
        if response is not None:
            response.close()


def _comparable(read: _Read) -> list[tuple[bytes, bytes]]:
    """The headers without those of framing, which h11 writes anew."""
    return [header for header in read.headers if header[0] not in (b"transfer-encoding", b"content-length")]


def _by_h11(method: bytes, sent: bytes) -> _Read | None:
    """What h11 makes of it; None when it rejects it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target=b"/", headers=[(b"host", b"x")]))
    connection.send(h11.EndOfMessage())
    read = _Read()
    try:
        connection.receive_data(sent)
        connection.receive_data(b"")
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                read = _Read(event.status_code, tuple((name.lower(), value) for name, value in event.headers))
            elif isinstance(event, h11.Data):
                read = _Read(read.status, read.headers, read.body + bytes(event.data))
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None
    return read
