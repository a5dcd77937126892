"""Floods of HTTP/1.1."""

from collections.abc import Callable

from benchmarks.floods.attacker import Flood
from benchmarks.floods.paths import Paths

_MANY = 200  # connections of those who are slow


def floods(paths: Paths) -> list[Flood]:
    """All of them; a flood without end sends until it is stopped."""
    get = b"GET %b HTTP/1.1\r\nHost: localhost\r\n" % paths.page
    post = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % paths.upload
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    whole = get + b"\r\n"
    stream = post + b"Content-Length: %d\r\n\r\n%b" % (len(paths.stream), paths.stream) if paths.stream else whole
    unfinished = post + b"Content-Length: 1048576\r\n\r\n"
    return [
        Flood(name="slow headers", begin=get, again=_same(b"X-A: b\r\n"), pause=0.25, connections=_MANY, end="408"),
        Flood(name="slow bodies", begin=unfinished, again=_same(b"x"), pause=0.25, connections=_MANY, end="408"),
        Flood(name="slow readers", begin=stream, reads=False, connections=_MANY, end="closed"),
        Flood(name="endless headers", begin=get, again=_numbered(b"X-%d: y\r\n"), end="431"),
        Flood(name="an endless header", begin=get + b"X-A: ", again=_same(b"h" * 65536), end="431"),
        Flood(name="an endless target", begin=b"GET /", again=_same(b"u" * 65536), end="431"),
        Flood(name="endless blank lines", begin=b"\r\n", again=_same(b"\r\n" * 32768), end="431"),
        Flood(
            name="endless trailers",
            begin=chunked + b"3\r\nabc\r\n0\r\n",
            again=_numbered(b"X-%d: y\r\n"),
            end="400",
        ),
        Flood(
            name="an endless trailer",
            begin=chunked + b"3\r\nabc\r\n0\r\nX-A: ",
            again=_same(b"t" * 65536),
            end="400",
        ),
        Flood(name="an endless chunk extension", begin=chunked + b"3;", again=_same(b"e" * 65536), end="400"),
        Flood(name="an endless chunk size", begin=chunked, again=_same(b"0" * 65536), end="400"),
        Flood(name="chunks of a byte", begin=chunked, again=_same(b"1\r\nx\r\n" * 10000), end="400"),
        Flood(name="chunks with extensions", begin=chunked, again=_same(b"2;x\r\nxx\r\n" * 7000), end="400"),
        Flood(name="pipelined, responses unread", begin=whole, again=_same(whole * 1000), reads=False, end="closed"),
        Flood(name="pipelined, responses read", begin=whole, again=_same(whole * 1000), end="200"),
        Flood(name="1 MB bodies without end", begin=unfinished + b"x" * 1048000, connections=300, end="503"),
        Flood(name="idle connections", begin=whole, connections=paths.idle, end="closed"),
    ]


def _same(data: bytes) -> Callable[[int], bytes]:
    return lambda _: data


def _numbered(line: bytes) -> Callable[[int], bytes]:
    return lambda count: b"".join([line % number for number in range(count * 5000, (count + 1) * 5000)])
