"""Floods of HTTP/2 (CVE-2019-9511 to -9518, CVE-2023-44487, CVE-2024-27316, CVE-2025-8671)."""

from collections.abc import Callable, Iterable

from benchmarks.floods.attacker import Flood
from benchmarks.floods.paths import Paths
from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.frames import CANCEL, END_HEADERS, END_STREAM, MAX_WINDOW, PADDED

_HELLO = frames.PREFACE + frames.settings({})
_ACKNOWLEDGED = _HELLO + frames.frame_header(0, frames.SETTINGS, frames.ACK, 0)
_STREAMS = 900  # that a server of ours takes on one connection without rejecting
_A_TURN = 500  # streams or frames that are sent at once
_UNKNOWN = 0x42
_CALM = "GOAWAY ENHANCE_YOUR_CALM"
_ACCEPT_ENCODING = b"\x90"  # field 16 of the static table: one byte, and 28 when read (RFC 7541, Appendix A)
_NEWEST = b"\xbe"  # the field that was put into the table last


def floods(paths: Paths) -> list[Flood]:
    """All of them."""
    return [*_resets(paths), *_frames(paths), *_blocks(paths), *_streams(paths)]


def _resets(paths: Paths) -> list[Flood]:
    """Requests that are begun and ended for nothing, by either side."""
    grpc = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
    call = _block(b"POST", b"/inference.GRPCInferenceService/ModelInfer", grpc)
    upload, one_byte = _block(b"POST", paths.upload), _block(b"POST", paths.upload, [(b"content-length", b"1")])
    cancel = _frame(frames.RST_STREAM, 0, frames.uint32(CANCEL))
    too_wide = _frame(frames.WINDOW_UPDATE, 0, frames.uint32(MAX_WINDOW))
    return [
        Flood(name="rapid reset", begin=_HELLO, again=_each(_headers(upload), cancel), end=_CALM),
        Flood(name="rapid reset, gRPC", begin=_HELLO, again=_each(_headers(call), cancel), end=_CALM),
        Flood(
            name="resets provoked by too long a body",
            begin=_HELLO,
            again=_each(_headers(one_byte), _frame(frames.DATA, 0, b"too long")),
            end=_CALM,
        ),
        Flood(
            name="resets provoked by too wide a window",
            begin=_HELLO,
            again=_each(_headers(upload), too_wide),
            end=_CALM,
        ),
        Flood(
            name="resets provoked by fields against the rules",
            begin=_HELLO,
            again=_each(_headers(_block(b"POST", paths.upload, [(b"connection", b"close")]))),
            end=_CALM,
        ),
    ]


def _frames(paths: Paths) -> list[Flood]:
    """Frames that carry nothing."""
    upload = _frame(frames.HEADERS, END_HEADERS, _block(b"POST", paths.upload))(1)
    page = _frame(frames.HEADERS, END_HEADERS | END_STREAM, _block(b"GET", paths.page))
    opened = b"".join(map(_headers(_block(b"POST", paths.upload)), _numbers(0, _STREAMS)))
    pages = b"".join(map(page, _numbers(0, _STREAMS)))
    unfinished = _frame(frames.HEADERS, 0, _block(b"GET", paths.page))(1)
    shut = frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
    ping = _frame(frames.PING, 0, b"12345678")(0)
    narrow, wide = (frames.settings({frames.INITIAL_WINDOW_SIZE: size}) for size in (0, 1))
    wider = _frame(frames.WINDOW_UPDATE, 0, frames.uint32(1))

    def flood(name: str, begin: bytes, frame: bytes, end: str = _CALM, *, reads: bool = True) -> Flood:
        return Flood(name=name, begin=begin, again=lambda _: frame * (2 * _A_TURN), end=end, reads=reads)

    return [
        flood("empty CONTINUATION", _HELLO + unfinished, _frame(frames.CONTINUATION, 0, b"")(1)),
        flood("CONTINUATION without end", _HELLO + unfinished, _frame(frames.CONTINUATION, 0, b"\x90" * 64)(1)),
        flood("SETTINGS", _HELLO, frames.settings({})),
        flood("SETTINGS with 900 streams", shut + pages, wide + narrow),
        flood("PING", _HELLO, ping),
        flood("PING, replies unread", _HELLO, ping, reads=False, end="closed"),
        flood("WINDOW_UPDATE of the connection, 900 streams", shut + pages, wider(0)),
        flood("WINDOW_UPDATE of a stream", shut + pages, wider(1)),
        flood("empty DATA", _HELLO + upload, _frame(frames.DATA, 0, b"")(1)),
        flood("DATA of a byte", _HELLO + upload, _frame(frames.DATA, 0, b"x")(1)),
        flood("DATA of padding", _HELLO + upload, _frame(frames.DATA, PADDED, b"\xff" + bytes(255))(1)),
        flood("PRIORITY", _HELLO + opened, _frame(frames.PRIORITY, 0, b"\0\0\0\0\x10")(1)),
        flood("unknown frames", _HELLO, _frame(_UNKNOWN, 0, b"")(0)),
    ]


def _blocks(paths: Paths) -> list[Flood]:
    """Blocks of header fields that are short, and long or costly when read."""
    plain = _block(b"GET", paths.page)
    value = b"v" * 3900
    planted = b"\x40\x01a\x7f" + bytes([(3900 - 127) & 127 | 128, (3900 - 127) >> 7]) + value
    size = 20_000  # bytes of a value in Huffman's code, all of them "\", which has 19 bits
    packed = int("1111111111111110000" * (size * 8 // 19), 2) << (size * 8 % 19) | (1 << size * 8 % 19) - 1
    huffman = b"\x00\x01a\xff" + bytes([(size - 127) & 127 | 128, (size - 127) >> 7 & 127 | 128, (size - 127) >> 14])
    ended = END_HEADERS | END_STREAM

    def flood(name: str, block: bytes, end: str, streams: int) -> Flood:
        frame = _frame(frames.HEADERS, ended, block)
        return Flood(
            name=name,
            begin=_HELLO,
            again=lambda count: b"".join(map(frame, _numbers(count, streams))),
            end=end,
        )

    return [
        flood("HPACK bomb", plain + planted + _NEWEST * 16_000, "GOAWAY COMPRESSION_ERROR", 1),
        flood("HPACK, 500 fields of a byte each", plain + _ACCEPT_ENCODING * 500, "responses", 50),
        flood("HPACK, 20 KB of Huffman's code", plain + huffman + packed.to_bytes(size, "big"), "responses", 50),
    ]


def _streams(paths: Paths) -> list[Flood]:
    """Streams that stay open."""
    shut = frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
    page = _frame(frames.HEADERS, END_HEADERS | END_STREAM, _block(b"GET", paths.page))
    post = _headers(_block(b"POST", paths.upload))
    half = _frame(frames.DATA, 0, b"z" * 4000)
    streams = _numbers(0, _STREAMS)
    floods = [
        Flood(name="zero windows", begin=shut + b"".join(map(page, streams)), connections=20, end="RST_STREAM CANCEL"),
        Flood(name="more streams than may be", begin=_HELLO, again=_each(post), end="RST_STREAM REFUSED_STREAM"),
        Flood(
            name="900 bodies without end",
            begin=_HELLO + b"".join([post(number) + half(number) for number in streams]),
            end="responses",
        ),
        Flood(name="a frame that does not end", begin=_HELLO + bytes(4), connections=200, end=_CALM),
        Flood(name="HTTP/2 connections that are idle", begin=_ACKNOWLEDGED, connections=paths.idle // 5, end="closed"),
    ]
    if paths.stream:
        body = _frame(frames.DATA, END_STREAM, paths.stream)
        begin = shut + b"".join([post(number) + body(number) for number in streams[:100]])
        floods.append(Flood(name="100 streamed responses, zero windows", begin=begin, end="RST_STREAM CANCEL"))
    return floods


Frame = Callable[[int], bytes]


def _frame(kind: int, flags: int, payload: bytes) -> Frame:
    return lambda number: frames.frame_header(len(payload), kind, flags, number) + payload


def _headers(block: bytes) -> Frame:
    """The beginning of a request whose body follows."""
    return _frame(frames.HEADERS, END_HEADERS, block)


def _block(method: bytes, path: bytes, more: Iterable[Field] = ()) -> bytes:
    return literals(
        [(b":method", method), (b":scheme", b"http"), (b":authority", b"localhost"), (b":path", path), *more]
    )


def _numbers(count: int, streams: int) -> range:
    first = 2 * count * streams + 1
    return range(first, first + 2 * streams, 2)


def _each(*made: Frame) -> Callable[[int], bytes]:
    """These frames on one new stream after the other."""
    return lambda count: b"".join([frame(number) for number in _numbers(count, _A_TURN) for frame in made])
