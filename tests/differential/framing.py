"""What can be odd about how a body is delimited: lengths, codings, chunks. Readers who disagree here can be fooled."""

from collections.abc import Callable, Mapping

from tests.differential.draft import Draft, Oddity, frames

_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_THREE = b"3\r\nabc\r\n0\r\n\r\n"

# Lines that say how long "abc" is, or something else.
_LENGTHS: Mapping[str, bytes] = {
    "twice the same": b"Content-Length: 3\r\nContent-Length: 3\r\n",
    "twice, the second too long": b"Content-Length: 3\r\nContent-Length: 30\r\n",
    "twice, the first too long": b"Content-Length: 30\r\nContent-Length: 3\r\n",
    "a list of the same": b"Content-Length: 3, 3\r\n",
    "a list": b"Content-Length: 3, 30\r\n",
    "with a sign": b"Content-Length: +3\r\n",
    "negative": b"Content-Length: -3\r\n",
    "hexadecimal": b"Content-Length: 0x3\r\n",
    "with a fraction": b"Content-Length: 3.0\r\n",
    "with an exponent": b"Content-Length: 3e0\r\n",
    "with zeros before it": b"Content-Length: 0003\r\n",
    "with a space behind it": b"Content-Length: 3 \r\n",
    "with a tab behind it": b"Content-Length: 3\t\r\n",
    "with a space within": b"Content-Length: 3 0\r\n",
    "with a vertical tab": b"Content-Length: \x0b3\r\n",
    "with a NUL": b"Content-Length: 3\0\r\n",
    "with an underscore": b"Content-Length: 3_0\r\n",
    "with a semicolon": b"Content-Length: 3;\r\n",
    "with a comma behind it": b"Content-Length: 3,\r\n",
    "with a comma before it": b"Content-Length: ,3\r\n",
    "in quotes": b'Content-Length: "3"\r\n',
    "in other digits": b"Content-Length: \xef\xbc\x93\r\n",
    "empty": b"Content-Length:\r\n",
    "of 2^64 and three": b"Content-Length: 18446744073709551619\r\n",
    "of 2^63": b"Content-Length: 9223372036854775808\r\n",
    "of 2^32 and three": b"Content-Length: 4294967299\r\n",
    "of a hundred digits": b"Content-Length: " + b"0" * 99 + b"3\r\n",
    "folded": b"Content-Length:\r\n 3\r\n",
    "folded in the middle": b"Content-Length: 3\r\n 0\r\n",
    "with a space before its colon": b"Content-Length : 3\r\n",
    "with a tab before its colon": b"Content-Length\t: 3\r\n",
    "with an underscore in its name": b"Content_Length: 3\r\n",
    "behind a bare LF": b"A: b\nContent-Length: 3\r\n",
    "behind a bare CR": b"A: b\rContent-Length: 3\r\n",
    "behind a space": b" Content-Length: 3\r\n",
    "named by the connection": b"Connection: content-length\r\nContent-Length: 3\r\n",
    "left out": b"",
    "zero though there is a body": b"Content-Length: 0\r\n",
    "with an expectation": b"Expect: 100-continue\r\nContent-Length: 3\r\n",
    "with an expectation in capitals": b"Expect: 100-CONTINUE\r\nContent-Length: 3\r\n",
}
# Values of Transfer-Encoding, or whole lines, before a body in chunks.
_CODINGS: Mapping[str, bytes] = {
    "in mixed letters": b"Transfer-Encoding: ChUnKeD\r\n",
    "with a letter before it": b"Transfer-Encoding: xchunked\r\n",
    "with a letter behind it": b"Transfer-Encoding: chunkedx\r\n",
    "named twice": b"Transfer-Encoding: chunked, chunked\r\n",
    "in two lines": _CHUNKED * 2,
    "identity": b"Transfer-Encoding: identity\r\n",
    "identity and a length": b"Transfer-Encoding: identity\r\nContent-Length: 13\r\n",
    "identity, then chunked": b"Transfer-Encoding: identity, chunked\r\n",
    "chunked, then identity": b"Transfer-Encoding: chunked, identity\r\n",
    "chunked, then identity in two lines": _CHUNKED + b"Transfer-Encoding: identity\r\n",
    "identity, then chunked in two lines": b"Transfer-Encoding: identity\r\n" + _CHUNKED,
    "gzip, then chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "chunked, then gzip": b"Transfer-Encoding: chunked, gzip\r\n",
    "gzip alone": b"Transfer-Encoding: gzip\r\n",
    "with a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
    "after a tab": b"Transfer-Encoding:\tchunked\r\n",
    "after nothing": b"Transfer-Encoding:chunked\r\n",
    "after a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "before a vertical tab": b"Transfer-Encoding: chunked\x0b\r\n",
    "before a NUL": b"Transfer-Encoding: chunked\0\r\n",
    "after a high byte": b"Transfer-Encoding: \xffchunked\r\n",
    "before a tab": b"Transfer-Encoding: chunked\t\r\n",
    "in quotes": b'Transfer-Encoding: "chunked"\r\n',
    "after a comma": b"Transfer-Encoding: ,chunked\r\n",
    "before a comma": b"Transfer-Encoding: chunked,\r\n",
    "before a bare CR": b"Transfer-Encoding: chunked\rx\r\n",
    "empty": b"Transfer-Encoding:\r\n",
    "empty, and a length": b"Transfer-Encoding:\r\nContent-Length: 13\r\n",
    "folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "folded behind a comma": b"Transfer-Encoding: identity,\r\n chunked\r\n",
    "with a space before its colon": b"Transfer-Encoding : chunked\r\n",
    "with an underscore in its name": b"Transfer_Encoding: chunked\r\nContent-Length: 13\r\n",
    "behind a space": b" Transfer-Encoding: chunked\r\n",
    "behind a bare LF": b"A: b\n" + _CHUNKED,
    "named by the connection": b"Connection: transfer-encoding\r\n" + _CHUNKED,
    "with a length before it": b"Content-Length: 6\r\n" + _CHUNKED,
    "with a length behind it": _CHUNKED + b"Content-Length: 6\r\n",
    "with a length that is odd": _CHUNKED + b"Content-Length: x\r\n",
    "with an expectation": b"Expect: 100-continue\r\n" + _CHUNKED,
}
_CHUNKS: Mapping[str, bytes] = {
    "with an extension": b"3;a=b\r\nabc\r\n0\r\n\r\n",
    "with an extension without a value": b"3;a\r\nabc\r\n0\r\n\r\n",
    "with an extension behind a space": b"3 ;a=b\r\nabc\r\n0\r\n\r\n",
    "with an extension in quotes": b'3;a="b;c"\r\nabc\r\n0\r\n\r\n',
    "with a line break in quotes": b'3;a="\r\nabc\r\n0\r\n\r\n',
    "with a bare LF in an extension": b"3;a\nabc\r\n0\r\n\r\n",
    "with a bare CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "with a NUL in an extension": b"3;a\0\r\nabc\r\n0\r\n\r\n",
    "with a long extension": b"3;" + b"a" * 3000 + b"\r\nabc\r\n0\r\n\r\n",
    "with an extension of the last": b"3\r\nabc\r\n0;a=b\r\n\r\n",
    "with a semicolon and nothing": b"3;\r\nabc\r\n0\r\n\r\n",
    "of a size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "of a negative size": b"-3\r\nabc\r\n0\r\n\r\n",
    "of a size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "of a size behind a space": b" 3\r\nabc\r\n0\r\n\r\n",
    "of a size before a space": b"3 \r\nabc\r\n0\r\n\r\n",
    "of a size before a tab": b"3\t\r\nabc\r\n0\r\n\r\n",
    "of a size with a letter": b"3g\r\nabc\r\n0\r\n\r\n",
    "of a size with an underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
    "of a size in capitals": b"A\r\nabcabcabca\r\n0\r\n\r\n",
    "of a size with zeros": b"0" * 30 + b"3\r\nabc\r\n0\r\n\r\n",
    "of 2^64 and three bytes": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "of 2^32 and three bytes": b"100000003\r\nabc\r\n0\r\n\r\n",
    "of the largest size": b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "of an empty size": b"\r\nabc\r\n0\r\n\r\n",
    "of a size that ends with LF": b"3\nabc\r\n0\r\n\r\n",
    "of a size that ends with CR": b"3\rabc\r\n0\r\n\r\n",
    "of a size that ends with CR CR LF": b"3\r\r\nabc\r\n0\r\n\r\n",
    "of data that end with LF": b"3\r\nabc\n0\r\n\r\n",
    "of data that end with nothing": b"3\r\nabc0\r\n\r\n",
    "of data that end with two letters": b"3\r\nabcXX0\r\n\r\n",
    "of data that are too long": b"2\r\nabc\r\n0\r\n\r\n",
    "of data that are too short": b"4\r\nabc\r\n0\r\n\r\n",
    "the last with many zeros": b"3\r\nabc\r\n000000\r\n\r\n",
    "the last that ends with LF": b"3\r\nabc\r\n0\n\n",
    "the last before a bare LF": b"3\r\nabc\r\n0\r\n\n",
    "the last without an end": b"3\r\nabc\r\n0\r\n",
    "without a last": b"3\r\nabc\r\n",
    "none but the last": b"0\r\n\r\n",
    "two that are the last": b"3\r\nabc\r\n0\r\n\r\n0\r\n\r\n",
}
_TRAILERS: Mapping[str, bytes] = {
    "plain": b"X-T: y\r\n",
    "a length": b"Content-Length: 50\r\n",
    "a coding": _CHUNKED,
    "a host": b"Host: y\r\n",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "a connection that is closed": b"Connection: close\r\n",
    "folded": b"X-T: y\r\n z\r\n",
    "without a colon": b"nothing\r\n",
    "with a space before the colon": b"X-T : y\r\n",
    "with a NUL": b"X-T: \0\r\n",
    "that end with LF": b"X-T: y\n",
    "with an empty name": b": y\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n",
}


def _length(lines: bytes) -> Callable[[Draft], None]:
    return lambda draft: frames(draft, b"abc", lines)


def _coding(lines: bytes) -> Callable[[Draft], None]:
    return lambda draft: frames(draft, _THREE, lines)


def _chunks(body: bytes) -> Callable[[Draft], None]:
    return lambda draft: frames(draft, body, _CHUNKED)


def _trailers(lines: bytes) -> Callable[[Draft], None]:
    return lambda draft: frames(draft, b"3\r\nabc\r\n0\r\n" + lines + b"\r\n", _CHUNKED)


def _within(draft: Draft) -> bytes:
    """A request in a chunk, before the last chunk."""
    inner = draft.inner()
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)


def _length_before_coding(draft: Draft) -> None:
    frames(draft, b"0\r\n\r\n" + draft.inner(), b"Content-Length: %d\r\n" % len(b"0\r\n\r\n" + draft.inner()), _CHUNKED)


def _length_of_first_line(draft: Draft) -> None:
    body = _within(draft)
    frames(draft, body, b"Content-Length: %d\r\n" % (body.index(b"\r\n") + 2), _CHUNKED)


def _request_in_body(draft: Draft) -> None:
    frames(draft, draft.inner(), b"Content-Length: %d\r\n" % len(draft.inner()))


def _body_of_get(draft: Draft) -> None:
    _request_in_body(draft)
    draft.method = b"GET"


def _chunks_of_get(draft: Draft) -> None:
    frames(draft, _within(draft), _CHUNKED)
    draft.method = b"GET"


def _body_of_head(draft: Draft) -> None:
    _request_in_body(draft)
    draft.method = b"HEAD"


def _old_chunks(draft: Draft) -> None:
    frames(draft, _within(draft), _CHUNKED, b"Connection: keep-alive\r\n")
    draft.version = b"HTTP/1.0"


def _upgrade_with_body(draft: Draft) -> None:
    _request_in_body(draft)
    draft.lines.append(b"Connection: Upgrade\r\nUpgrade: h2c\r\n")


def _upgrade_with_chunks(draft: Draft) -> None:
    frames(draft, _within(draft), _CHUNKED)
    draft.lines.append(b"Connection: Upgrade\r\nUpgrade: h2c\r\n")


FRAMING = (
    *(Oddity(f"length {name}", "body", _length(lines)) for name, lines in _LENGTHS.items()),
    *(Oddity(f"coding {name}", "body", _coding(lines)) for name, lines in _CODINGS.items()),
    *(Oddity(f"chunk {name}", "body", _chunks(body)) for name, body in _CHUNKS.items()),
    *(Oddity(f"trailers {name}", "body", _trailers(lines)) for name, lines in _TRAILERS.items()),
    Oddity("a length and a coding, a request behind the last chunk", "body", _length_before_coding),
    Oddity("a length and a coding, a request in a chunk", "body", _length_of_first_line),
    Oddity("a request in a body", "body", _request_in_body),
    Oddity("a request in the body of GET", "body", _body_of_get),
    Oddity("a request in a chunk of GET", "body", _chunks_of_get),
    Oddity("a request in the body of HEAD", "body", _body_of_head),
    Oddity("chunks in HTTP/1.0", "body", _old_chunks),
    Oddity("an upgrade and a request in the body", "body", _upgrade_with_body),
    Oddity("an upgrade and a request in a chunk", "body", _upgrade_with_chunks),
)
