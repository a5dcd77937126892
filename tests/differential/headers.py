"""What can be odd about a request's first line and its headers, framing left out."""

from collections.abc import Callable, Mapping

from tests.differential.draft import Draft, Oddity

_METHODS: Mapping[str, bytes] = {
    "lower-case": b"get",
    "unknown": b"FOO",
    "with a dash": b"M-SEARCH",
    "TRACE": b"TRACE",
    "GET": b"GET",
    "DELETE": b"DELETE",
    "HEAD": b"HEAD",
    "of another protocol": b"SOURCE",
    "with a parenthesis": b"GE(T",
    "with a NUL": b"GE\0T",
    "with a high byte": b"GE\xffT",
    "with a dot": b"GET.X",
    "very long": b"G" * 300,
    "empty": b"",
}
_TARGETS: Mapping[str, Callable[[Draft], bytes]] = {
    "absolute": lambda d: b"http://x" + d.target,
    "absolute for another host": lambda d: b"http://other" + d.target,
    "absolute with a port": lambda d: b"http://x:80" + d.target,
    "absolute by https": lambda d: b"https://x" + d.target,
    "absolute by another scheme": lambda d: b"gopher://x" + d.target,
    "absolute in capitals": lambda d: b"HTTP://X" + d.target,
    "absolute with a user": lambda d: b"http://u:p@x" + d.target,
    "absolute without a path": lambda d: b"http://x?" + d.case,
    "without a slash": lambda d: d.target[1:],
    "of two slashes": lambda d: b"/" + d.target,
    "with a fragment": lambda d: d.target + b"#f",
    "with a space": lambda d: d.target + b" b",
    "with a tab": lambda d: d.target + b"\tb",
    "with a NUL": lambda d: d.target + b"\0b",
    "with a control character": lambda d: d.target + b"\x01b",
    "with DEL": lambda d: d.target + b"\x7fb",
    "with high bytes": lambda d: d.target + b"\xe4\xff",
    "with a backslash": lambda d: d.target + b"\\..\\b",
    "with dots": lambda d: d.target + b"/../b",
    "with encoded dots": lambda d: d.target + b"/%2e%2e/b",
    "with an encoded slash": lambda d: d.target + b"%2fb",
    "with an encoded NUL": lambda d: d.target + b"%00",
    "with a broken escape": lambda d: d.target + b"%zz%",
    "with quotes and brackets": lambda d: d.target + b'?a="<>{}|^`[]',
    "with two questions": lambda d: d.target + b"?a?b",
    "with an empty query": lambda d: d.target + b"?",
    "with a bare CR": lambda d: d.target + b"\rb",
    "long": lambda d: d.target + b"?" + b"a" * 3000,
}
_VERSIONS: Mapping[str, bytes] = {
    "1.0": b"HTTP/1.0",
    "1.2": b"HTTP/1.2",
    "2.0": b"HTTP/2.0",
    "0.9": b"HTTP/0.9",
    "3.1": b"HTTP/3.1",
    "in small letters": b"http/1.1",
    "of two digits": b"HTTP/1.10",
    "with a zero before it": b"HTTP/01.1",
    "without a minor number": b"HTTP/1",
    "with a comma": b"HTTP/1,1",
    "of another protocol": b"ICE/1.0",
    "with a space behind it": b"HTTP/1.1 ",
    "with a tab behind it": b"HTTP/1.1\t",
    "left out": b"",
}
_SEPARATORS: Mapping[str, tuple[str, bytes]] = {
    "two spaces before the target": ("after_method", b"  "),
    "a tab before the target": ("after_method", b"\t"),
    "a vertical tab before the target": ("after_method", b"\x0b"),
    "two spaces before the version": ("after_target", b"  "),
    "a tab before the version": ("after_target", b"\t"),
    "an empty line before": ("before", b"\r\n"),
    "two empty lines before": ("before", b"\r\n\r\n"),
    "a line feed before": ("before", b"\n"),
    "a space before": ("before", b" "),
    "a byte order mark before": ("before", b"\xef\xbb\xbf"),
    "a line feed for its end": ("request_end", b"\n"),
    "a carriage return for its end": ("request_end", b"\r"),
    "two carriage returns": ("request_end", b"\r\r\n"),
    "headers ended by a line feed": ("headers_end", b"\n"),
    "headers ended by CR CR LF": ("headers_end", b"\r\r\n"),
    "headers ended by CR and nothing": ("headers_end", b"\r"),
}
_HOSTS: Mapping[str, bytes] = {
    "missing": b"",
    "twice the same": b"Host: x\r\nHost: x\r\n",
    "twice": b"Host: x\r\nHost: y\r\n",
    "empty": b"Host:\r\n",
    "with a path": b"Host: x/y\r\n",
    "with a user": b"Host: u@x\r\n",
    "with a space": b"Host: x y\r\n",
    "with a comma": b"Host: x, y\r\n",
    "with a bad port": b"Host: x:99999999\r\n",
    "with a letter in its port": b"Host: x:8a\r\n",
    "with a NUL": b"Host: x\0y\r\n",
    "with a high byte": b"Host: x\xff\r\n",
    "an address of IPv6": b"Host: [::1]:80\r\n",
    "half an address": b"Host: [::1\r\n",
    "folded": b"Host:\r\n x\r\n",
    "with a space before its colon": b"Host : x\r\n",
    "after a folded line": b" folded: y\r\nHost: x\r\n",
}
_LINES: Mapping[str, bytes] = {
    "a space before the colon": b"A : b\r\n",
    "a tab before the colon": b"A\t: b\r\n",
    "an empty name": b": b\r\n",
    "no colon": b"nothing\r\n",
    "a space in a name": b"A b: c\r\n",
    "a NUL in a name": b"A\0b: c\r\n",
    "a parenthesis in a name": b"A(b: c\r\n",
    "a high byte in a name": b"\xc3\xa4: c\r\n",
    "an underscore in a name": b"A_b: c\r\n",
    "a control character in a name": b"A\x01: c\r\n",
    "a NUL in a value": b"A: b\0c\r\n",
    "a bare CR in a value": b"A: b\rc\r\n",
    "a header behind a bare CR": b"A: b\rContent-Length: 5\r\n",
    "a header behind a bare LF": b"A: b\nB: c\r\n",
    "a line that ends with LF": b"A: b\n",
    "a line that ends with CR CR LF": b"A: b\r\r\n",
    "a control character in a value": b"A: b\x01c\r\n",
    "DEL in a value": b"A: b\x7fc\r\n",
    "a high byte in a value": b"A: \xff\xe4\r\n",
    "a vertical tab in a value": b"A: \x0bb\x0c\r\n",
    "a folded value": b"A: b\r\n c\r\n",
    "a value folded by a tab": b"A: b\r\n\tc\r\n",
    "a value folded to nothing": b"A: b\r\n \r\n",
    "a fold that looks like a header": b"A: b\r\n Content-Length: 5\r\n",
    "no value": b"A:\r\n",
    "a value of blanks": b"A: \t \r\n",
    "a long value": b"A: " + b"b" * 4000 + b"\r\n",
    "a hundred lines": b"A: b\r\n" * 90,
    "a connection that is closed": b"Connection: close\r\n",
    "a connection that is kept": b"Connection: keep-alive\r\n",
    "a connection that is both": b"Connection: keep-alive, close\r\n",
    "a connection that names the host": b"Connection: close, host\r\n",
    "a proxy connection": b"Proxy-Connection: keep-alive\r\n",
    "an expectation that is none": b"Expect: the unexpected\r\n",
    "an expectation": b"Expect: 100-continue\r\n",
    "an upgrade to h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "an upgrade to a socket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "an upgrade to anything": b"Connection: Upgrade\r\nUpgrade: foo\r\n",
    "an upgrade without a connection": b"Upgrade: h2c\r\n",
    "a range": b"Range: bytes=0-1,5-\r\n",
    "trailers announced": b"Trailer: X-T\r\nTE: trailers\r\n",
}


def _sets(name: str, value: bytes) -> Callable[[Draft], None]:
    return lambda draft: setattr(draft, name, value)


def _target(make: Callable[[Draft], bytes]) -> Callable[[Draft], None]:
    return lambda draft: setattr(draft, "target", make(draft))


def _line(line: bytes) -> Callable[[Draft], None]:
    return lambda draft: draft.lines.append(line)


def _connect(draft: Draft) -> None:
    draft.method, draft.target = b"CONNECT", b"x:80"
    draft.lines.append(b"X-Case: %b\r\n" % draft.case)


def _whole_server(draft: Draft) -> None:
    draft.method, draft.target = b"OPTIONS", b"*"
    draft.lines.append(b"X-Case: %b\r\n" % draft.case)


HEADERS = (
    *(Oddity(f"method {name}", "method", _sets("method", value)) for name, value in _METHODS.items()),
    Oddity("method CONNECT", "method", _connect),
    Oddity("target *", "target", _whole_server),
    *(Oddity(f"target {name}", "target", _target(make)) for name, make in _TARGETS.items()),
    *(Oddity(f"version {name}", "version", _sets("version", value)) for name, value in _VERSIONS.items()),
    *(Oddity(name, f"separator {part}", _sets(part, value)) for name, (part, value) in _SEPARATORS.items()),
    *(Oddity(f"host {name}", "host", _sets("host", value)) for name, value in _HOSTS.items()),
    *(Oddity(name, "line", _line(value)) for name, value in _LINES.items()),
)
