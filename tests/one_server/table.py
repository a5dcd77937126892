"""What every port of ours makes of requests that servers disagree on.

In a row, ``{page}`` stands for a page that is 200, ``{path}`` for a path that takes a body and ``{body}`` for that,
``{length}`` for its length, ``{chunk}`` for the body as a chunk and ``{extended}`` for one with an extension. ``BODY``
is the status that the path gives to the whole body.
"""

from dataclasses import dataclass

BODY = 0
LINE = b"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"
SIZED = LINE + b"Content-Length: {length}\r\n\r\n"
PAGE = b"GET {page} HTTP/1.1\r\nHost: localhost\r\n"
AT = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
END = b"0\r\n\r\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """``statuses`` are those of the responses, in order; ``kept`` says whether the connection goes on.

    Where the fault is ``in_body``, a handler that does not read the body may have responded before.
    """

    sent: bytes
    statuses: tuple[int, ...]
    kept: bool = False
    in_body: bool = False


def kept(sent: bytes, *statuses: int) -> Row:
    return Row(sent=sent, statuses=statuses, kept=True)


def ended(sent: bytes, *statuses: int) -> Row:
    return Row(sent=sent, statuses=statuses)


def rejected(sent: bytes, status: int = 400) -> Row:
    """What follows a request that is rejected is not a request."""
    return Row(sent=sent + PAGE + b"\r\n", statuses=(status,))


def length(value: bytes, body: bytes = b"abc") -> bytes:
    return LINE + b"Content-Length: " + value + b"\r\n\r\n" + body


def coding(value: bytes) -> bytes:
    return LINE + b"Transfer-Encoding: " + value + b"\r\n\r\n" + END


def bad_chunk(line: bytes, data: bytes = b"abc\r\n") -> Row:
    return Row(sent=CHUNKED + line + data + END + PAGE + b"\r\n", statuses=(400,), in_body=True)


# Whoever reads the end of a body elsewhere sees other requests behind it.
BODIES = {
    "a length": kept(SIZED + b"{body}", BODY),
    "a length with zeros before it": kept(length(b"000{length}", b"{body}"), BODY),
    "a length with blanks around it": kept(length(b"\t {length} \t", b"{body}"), BODY),
    "chunks": kept(CHUNKED + b"{chunk}" + END, BODY),
    "chunks, oddly written": kept(LINE + b"Transfer-Encoding:\tChUnKeD\r\n\r\n{chunk}" + END, BODY),
    "chunks with extensions": kept(CHUNKED + b"{extended}" + END, BODY),
    "chunks with trailers": kept(CHUNKED + b"{chunk}0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n", BODY),
    "an underscore that is no hyphen": kept(
        LINE + b"Transfer_Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{body}", BODY
    ),
    "a length and chunks": rejected(LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + END),
    "chunks and a length": rejected(LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + END),
    "a length twice": rejected(LINE + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "two lengths": rejected(LINE + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc"),
    "a list of lengths": rejected(length(b"3, 3")),
    "a length with a sign": rejected(length(b"+3")),
    "a length in hexadecimal": rejected(length(b"0x3")),
    "a length with an underscore": rejected(length(b"1_0", b"abcabcabca")),
    "a length without a number": rejected(length(b"")),
    "a length beyond 64 bits": rejected(length(b"18446744073709551619")),
    "another coding before chunks": rejected(coding(b"gzip, chunked"), 501),
    "another coding after chunks": rejected(coding(b"chunked, gzip")),
    "chunks twice": rejected(coding(b"chunked\r\nTransfer-Encoding: chunked")),
    "a coding that is none": rejected(coding(b"xchunked")),
    "a coding with a vertical tab": rejected(coding(b"\x0bchunked")),
    "chunks in HTTP/1.0": rejected(CHUNKED.replace(b"/1.1", b"/1.0") + END),
    "a chunk in hexadecimal": bad_chunk(b"0x3\r\n"),
    "a chunk with a sign": bad_chunk(b"+3\r\n"),
    "a chunk of less than nothing": bad_chunk(b"-3\r\n"),
    "a chunk beyond 64 bits": bad_chunk(b"10000000000000003\r\n"),
    "a chunk ended by a line feed": bad_chunk(b"3\n"),
    "a chunk without an end": bad_chunk(b"3\r\n", b"abc"),
    "a chunk with another end": bad_chunk(b"3\r\n", b"abcXX"),
    "a chunk extension ended by a line feed": bad_chunk(b"3;a=b\n"),
}
LINES = {
    "a blank before a colon": rejected(LINE + b"Content-Length : 3\r\n\r\nabc"),
    "a folded line": rejected(PAGE + b"A: b\r\n c\r\n\r\n"),
    "a line feed alone": rejected(b"GET {page} HTTP/1.1\nHost: localhost\n\n"),
    "a carriage return alone": rejected(PAGE + b"A: b\rContent-Length: 3\r\n\r\n"),
    "a zero byte": rejected(PAGE + b"A: b\0c\r\n\r\n"),
    "a control character": rejected(PAGE + b"A: b\x01c\r\n\r\n"),
    "a name with a parenthesis": rejected(PAGE + b"A(b: c\r\n\r\n"),
    "a line without a colon": rejected(PAGE + b"abc\r\n\r\n"),
    "empty lines before a request": kept(b"\r\n\r\n" + PAGE + b"\r\n", 200),
    "too long a header": rejected(PAGE + b"A: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "too long a target": rejected(b"GET /" + b"a" * 70_000 + AT, 431),
    "too many headers": rejected(PAGE + b"A: b\r\n" * 300 + b"\r\n", 431),
    "large headers": kept(PAGE + b"A: " + b"a" * 60_000 + b"\r\n\r\n", 200),
}
FIRST_LINES = {
    "no host": rejected(b"GET {page} HTTP/1.1\r\n\r\n"),
    "two hosts": rejected(PAGE + b"Host: localhost\r\n\r\n"),
    "a host with a path": rejected(b"GET {page} HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "a host with a blank": rejected(b"GET {page} HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "a URL": kept(b"GET http://localhost{page}" + AT, 200),
    "a URL of another scheme": rejected(b"GET gopher://localhost{page}" + AT),
    "a fragment": rejected(b"GET {page}#a" + AT),
    "a target that is no path": rejected(b"GET x{page}" + AT),
    "a control character in a target": rejected(b"GET {page}\x01" + AT),
    "a tab in a target": rejected(b"GET {page}\t" + AT),
    "a method in lower case": rejected(b"get {page}" + AT),
    "connect": rejected(b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 501),
    "trace": rejected(b"TRACE {page}" + AT, 501),
    "a method of another protocol": rejected(b"PLAY rtsp://localhost/ RTSP/1.0\r\nHost: localhost\r\n\r\n", 501),
    "HTTP/2.0 in a line": rejected(b"GET {page} HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    "HTTP/0.9": rejected(b"GET {page} HTTP/0.9\r\nHost: localhost\r\n\r\n", 505),
    "HTTP in lower case": rejected(b"GET {page} http/1.1\r\nHost: localhost\r\n\r\n"),
}
# Stock Java clients offer an upgrade with each request, body and all (RFC 9110 §7.8 lets a server go on without).
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n"
CONNECTIONS = {
    "requests without waiting": kept((PAGE + b"\r\n") * 3, 200, 200, 200),
    "HTTP/1.0": ended(b"GET {page} HTTP/1.0\r\n\r\n", 200),
    "HTTP/1.0 that keeps its connection": kept(b"GET {page} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200),
    "a last request": ended(PAGE + b"Connection: close\r\n\r\n", 200),
    "a body with a GET": kept(PAGE + b"Content-Length: 3\r\n\r\nabc", 200),
    "an upgrade with a body": kept(LINE + OFFER + b"Content-Length: {length}\r\n\r\n{body}", BODY),
    "an upgrade with chunks": kept(LINE + OFFER + b"Transfer-Encoding: chunked\r\n\r\n{chunk}" + END, BODY),
    "an upgrade without a body": kept(PAGE + OFFER + b"\r\n", 200),
    "an upgrade to WebSocket": kept(PAGE + WEBSOCKET + b"\r\n", 200),
}
# On loopback no key keeps a web page out (``switchyard.http.web_access``).
PAGE_OF = b"GET {page} HTTP/1.1\r\nHost: "
TEXT = b"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n"
WEB_PAGES = {
    "a name that leads here": kept(PAGE_OF + b"rebound.example:80\r\n\r\n", 421),
    "localhost in front of another's name": kept(PAGE_OF + b"localhost.example\r\n\r\n", 421),
    "a URL with a name that leads here": kept(b"GET http://rebound.example{page}" + AT, 421),
    "an address": kept(PAGE_OF + b"127.0.0.1:80\r\n\r\n", 200),
    "an address of IPv6": kept(PAGE_OF + b"[::1]\r\n\r\n", 200),
    "text that a page sends without asking": kept(TEXT + b"Origin: https://a.example\r\n\r\n{body}", 403),
    "text of a page without a name": kept(TEXT + b"Origin: null\r\n\r\n{body}", 403),
    "text of another port's page": kept(
        TEXT + b"Origin: http://localhost:1\r\nSec-Fetch-Site: same-site\r\n\r\n{body}", 403
    ),
    "an image in a page": kept(PAGE + b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n", 403),
    "a link in a page": kept(
        PAGE + b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n", 200
    ),
    "a page of this port": kept(LINE + b"Sec-Fetch-Site: same-origin\r\nContent-Length: {length}\r\n\r\n{body}", BODY),
}
ROWS = {**BODIES, **LINES, **FIRST_LINES, **CONNECTIONS, **WEB_PAGES}
