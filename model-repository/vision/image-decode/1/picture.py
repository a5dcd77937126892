"""Decodes images strictly: known formats, bounded sizes, and a sentence that says what is wrong with the rest."""

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
from PIL import ExifTags, Image

# Pillow is never asked to try anything else; each of its readers is code that strangers' bytes would reach.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
ACCEPTED = "BMP, GIF, JPEG, PNG, TIFF or WebP"
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}

# What Pillow's readers raise when damaged bytes lead them astray.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error, zlib.error)

# What brings a picture upright, by its EXIF orientation; 1 is upright
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_PNG = b"\x89PNG\r\n\x1a\n"
# Chunks of a PNG that change nothing here, and that Pillow unpacks all the same: it rejects the whole picture where one
# becomes more than 1 MB, as profiles of printers do. Two texts may say which side is up, and are short.
_PROFILE, _TEXTS = b"iCCP", (b"tEXt", b"zTXt", b"iTXt")
_ORIENTING = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_SHORT_TEXT = 64 * 1024

Image.MAX_IMAGE_PIXELS = None  # the limit is the caller's, and is checked before anything is decoded (but for GIF)


class InvalidImageError(ValueError):
    """The bytes are not an image that can be decoded; the message is for the client."""


def decode(data: bytes, max_pixels: int, size: tuple[int, int] | None = None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Decode an image.

    Orientation follows EXIF, transparency is laid over white, 16 bits per channel become 8, an animation gives its
    first frame. ``size`` is (height, width): the image is resized to it, bilinear with antialiasing.

    Returns: uint8, [height, width, 3], RGB.

    Raises:
        InvalidImageError: the format is not accepted, the file is damaged, or the image or ``size`` has no pixels or
            more than ``max_pixels``. Sizes are checked in the header, before any pixel is decoded.
    """
    if size is not None:
        _check_size("the requested size", size[1], size[0], max_pixels)
    with warnings.catch_warnings(action="ignore"):  # what is odd about a stranger's file is nothing for our log
        upright = _upright(data, max_pixels)
    if size is not None:
        upright = upright.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(upright)


def _upright(data: bytes, max_pixels: int) -> Image.Image:
    picture = _open(data, max_pixels)
    _check_size("the image", picture.width, picture.height, max_pixels)
    try:
        picture.load()
        turn = _TURNS.get(_orientation(picture))
        plain = _rgb(picture)
    except InvalidImageError:
        raise
    except _DAMAGE as err:
        raise InvalidImageError(f"the image is damaged or cut short: {err}") from err
    return plain if turn is None else plain.transpose(turn)


def _open(data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise InvalidImageError("the image is empty: send the bytes of a file")
    # A GIF's first frame may be larger than the GIF says to be, and Pillow makes room for it before it tells any size:
    # 67 bytes are enough for 4 GB. Pillow's own limit, which ends what is twice as large, is for that.
    Image.MAX_IMAGE_PIXELS = max_pixels if data.startswith(b"GIF") else None
    try:
        return Image.open(io.BytesIO(_needed(data)), formats=_FORMATS)
    except Image.DecompressionBombError as err:
        most = f"at most {max_pixels / 1e6:g} megapixels are accepted"
        raise InvalidImageError(f"the image is more than twice too large: {most}, send a smaller one") from err
    except _DAMAGE as err:
        raise InvalidImageError(f"{_kind(data)}: send a whole {ACCEPTED} file") from err


def _needed(data: bytes) -> bytes:
    """Return a PNG without its profile and texts, any other file as it is.

    PNG specification, §5.3: a chunk is its length, its type, its data and a checksum.
    """
    if not data.startswith(_PNG):
        return data
    kept, at = bytearray(_PNG), len(_PNG)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        kind, end = data[at + 4 : at + 8], at + 12 + length
        orients = length <= _SHORT_TEXT and data.startswith(_ORIENTING, at + 8)
        if kind != _PROFILE and (kind not in _TEXTS or orients):
            kept += data[at:end]
        at = end
    return bytes(kept)


def _kind(data: bytes) -> str:
    head = data[:256].lstrip().lower()
    if data[4:8] == b"ftyp":
        return f"{_BRANDS.get(data[8:12], 'This kind of image')} is not read here"
    if data.startswith(b"%PDF"):
        return "PDF is not read here"
    if head.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        return "SVG is not read here"
    return "these bytes are not an image that can be read"


def _check_size(what: str, width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise InvalidImageError(f"{what} is {width} x {height} pixels: both must be at least 1")
    if width * height > max_pixels:
        raise InvalidImageError(
            f"{what} is {width} x {height} pixels, {width * height / 1e6:.1f} megapixels; at most "
            f"{max_pixels / 1e6:g} are accepted: send a smaller one"
        )


def _orientation(picture: Image.Image) -> int:
    """Of a loaded picture: loading a TIFF turns it already. Damaged EXIF is no reason to refuse a whole picture."""
    try:
        found = picture.getexif().get(ExifTags.Base.Orientation)
    except _DAMAGE:
        found = None
    return found if isinstance(found, int) else 1


def _rgb(picture: Image.Image) -> Image.Image:
    picture = _eight_bits(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise InvalidImageError(
            "the image has floating-point pixels, which have no agreed white: save it with 8 or 16 bits"
        )
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
