"""The frames of HTTP/2, as far as a proxy reads and writes them (RFC 9113 §4, §6 and §7)."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">HBBBL")  # length in 24 bits, type, flags, stream
HEAD_BYTES = 9

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITIZED = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST = range(
    1, 7
)

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 0x5, 0x6, 0x7, 0x8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x9, 0xB

MIN_MAX_FRAME = 16 * 1024
MAX_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65535

_SETTING = struct.Struct(">HL")


class BadFrame(Exception):
    """The peer broke the protocol; ``code`` says how (RFC 9113 §7)."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def head(length: int, kind: int, flags: int, stream: int) -> bytes:
    """The nine bytes before ``length`` bytes of payload."""
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def settings(values: dict[int, int]) -> bytes:
    return head(6 * len(values), SETTINGS, 0, 0) + b"".join(_SETTING.pack(*value) for value in values.items())


def read_settings(payload: bytes) -> dict[int, int]:
    """Raises ``BadFrame`` when a value is outside of what RFC 9113 §6.5.2 allows."""
    if len(payload) % 6:
        raise BadFrame(FRAME_SIZE_ERROR, "the length of a SETTINGS frame is no multiple of six")
    values = dict(_SETTING.iter_unpack(payload))
    if values.get(INITIAL_WINDOW_SIZE, 0) > MAX_WINDOW:
        raise BadFrame(FLOW_CONTROL_ERROR, "the initial window is too large")
    if values.get(ENABLE_PUSH, 0) > 1:
        raise BadFrame(PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
    if not MIN_MAX_FRAME <= values.get(MAX_FRAME_SIZE, MIN_MAX_FRAME) < 2**24:
        raise BadFrame(PROTOCOL_ERROR, "the largest frame is out of bounds")
    return values


def number(value: int) -> bytes:
    """A payload of one number, as RST_STREAM and WINDOW_UPDATE have it."""
    return value.to_bytes(4, "big")


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without padding and priority.

    Raises:
        BadFrame: the padding is longer than the frame.
    """
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload or payload[0] >= end:
            raise BadFrame(PROTOCOL_ERROR, "padding longer than its frame")
        start, end = 1, end - payload[0]
    if flags & PRIORITIZED:
        start += 5
    if start > end:
        raise BadFrame(FRAME_SIZE_ERROR, "a frame too short for what its flags promise")
    return payload[start:end]
