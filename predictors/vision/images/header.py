"""How many pixels an encoded image has, read from its header: nothing is decoded here.

The formats are those that the model ``image-decode`` takes, which decides in the end: what it rejects costs nothing.
"""

import struct

_MOST_PARTS = 1024  # segments of a JPEG before its size, entries of a TIFF's directory: real ones have some dozens
_RIFF_KIND = 12
_VP8X_BYTES = 30
# ITU-T T.81, table B.1: frames begin with SOF0 to SOF15, but three of these numbers are other segments; markers that
# stand alone have no length.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = frozenset((0x01, *range(0xD0, 0xDA)))
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_SHORT = 3


def pixels_of(data: bytes) -> int:
    """Return width times height of an image, 0 of what is none or has no size in its header."""
    try:
        width, height = _size(data)
    except (struct.error, IndexError):
        return 0
    return width * height


def _size(data: bytes) -> tuple[int, int]:
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _unpacked(">II", data, 16) if data[12:16] == b"IHDR" else (0, 0)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _unpacked("<HH", data, 6)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM"):
        return _unpacked("<HH" if data[14:18] == b"\x0c\0\0\0" else "<ii", data, 18)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff(data, "<" if data.startswith(b"I") else ">")
    return 0, 0


def _unpacked(form: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, data, at)
    return abs(first), abs(second)  # a BMP from top to bottom has a negative height


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_MOST_PARTS):
        while data[at] == 0xFF:  # as many as the writer likes
            at += 1
        marker = data[at]
        if marker in _JPEG_FRAMES:
            height, width = _unpacked(">HH", data, at + 4)
            return width, height
        at += 1
        if marker not in _JPEG_ALONE:
            (length,) = struct.unpack_from(">H", data, at)
            at += length
    return 0, 0


def _webp(data: bytes) -> tuple[int, int]:
    # https://developers.google.com/speed/webp/docs/riff_container
    match data[_RIFF_KIND : _RIFF_KIND + 4]:
        case b"VP8X" if len(data) >= _VP8X_BYTES:
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            (packed,) = struct.unpack_from("<I", data, 21)
            return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return 0, 0


def _tiff(data: bytes, order: str) -> tuple[int, int]:
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, directory)
    found = {_TIFF_WIDTH: 0, _TIFF_HEIGHT: 0}
    for number in range(min(count, _MOST_PARTS)):
        at = directory + 2 + 12 * number
        tag, kind = struct.unpack_from(order + "HH", data, at)
        if tag in found:
            (found[tag],) = struct.unpack_from(order + ("H" if kind == _TIFF_SHORT else "I"), data, at + 8)
    return found[_TIFF_WIDTH], found[_TIFF_HEIGHT]
