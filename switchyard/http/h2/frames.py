"""The frames of HTTP/2, as far as this proxy reads and writes them (RFC 9113 §4, §6 and §7)."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER = struct.Struct(">LBL")  # length in 24 bits with the type in 8, flags, stream
FRAME_HEADER_BYTES = 9

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


class ProtocolError(Exception):
    """The peer broke the protocol; ``code`` is the error code for its GOAWAY frame (RFC 9113 §7)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def frame_header(length: int, kind: int, flags: int, stream: int) -> bytes:
    """Encode the nine octets before a payload of ``length`` octets."""
    return FRAME_HEADER.pack(length << 8 | kind, flags, stream)


def settings(values: dict[int, int]) -> bytes:
    return frame_header(6 * len(values), SETTINGS, 0, 0) + b"".join(_SETTING.pack(*value) for value in values.items())


def read_settings(payload: bytes) -> dict[int, int]:
    """Decode the payload of a SETTINGS frame.

    Raises:
        ProtocolError: a value is outside of what RFC 9113 §6.5.2 allows.
    """
    if len(payload) % 6:
        raise ProtocolError(FRAME_SIZE_ERROR, "SETTINGS payload must be a multiple of 6 octets")
    values = dict(_SETTING.iter_unpack(payload))
    if values.get(INITIAL_WINDOW_SIZE, 0) > MAX_WINDOW:
        raise ProtocolError(FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE must not exceed 2^31-1")
    if values.get(ENABLE_PUSH, 0) > 1:
        raise ProtocolError(PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH must be 0 or 1")
    if not MIN_MAX_FRAME <= values.get(MAX_FRAME_SIZE, MIN_MAX_FRAME) < 2**24:
        raise ProtocolError(PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE must be between 2^14 and 2^24-1")
    return values


def uint32(value: int) -> bytes:
    """Encode a payload of one number, as RST_STREAM and WINDOW_UPDATE frames have it."""
    return value.to_bytes(4, "big")


def uint32_frame(kind: int, stream: int, value: int) -> bytes:
    """Encode a frame with such a payload."""
    return frame_header(4, kind, 0, stream) + uint32(value)


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return the payload of a DATA or HEADERS frame without padding and priority.

    Raises:
        ProtocolError: the padding is longer than the frame.
    """
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload or payload[0] >= end:
            raise ProtocolError(PROTOCOL_ERROR, "padding must be shorter than the frame payload")
        start, end = 1, end - payload[0]
    if flags & PRIORITIZED:
        start += 5
    if start > end:
        raise ProtocolError(FRAME_SIZE_ERROR, "frame payload is shorter than its flags require")
    return payload[start:end]
