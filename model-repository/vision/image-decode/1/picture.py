"""Reads encoded pictures, strictly: known formats, bounded sizes, one sentence for what is wrong with the rest."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageOps

# Pillow is never asked to try anything else; each of its readers is code that strangers' bytes would reach.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
ACCEPTED = "BMP, GIF, JPEG, PNG, TIFF or WebP"
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}

# What Pillow's readers raise when damaged bytes lead them astray.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error, zlib.error)

Image.MAX_IMAGE_PIXELS = None  # the limit is the caller's, and is checked before anything is decoded


class Refused(ValueError):
    """The bytes are no picture that is read here; the message is for whoever sent them."""


def decode(data: bytes, max_pixels: int, size: tuple[int, int] | None = None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The pixels of an encoded picture.

    Orientation follows EXIF, transparency is laid over white, 16 bits per channel become 8, an animation gives its
    first frame. ``size`` is (height, width): the picture is resized to it, bilinear with antialiasing.

    Returns: uint8, [height, width, 3], RGB.

    Raises:
        Refused: the format is not accepted, the file is damaged, or the picture or ``size`` has no pixels or more than
            ``max_pixels``. Sizes are judged by the header, before any pixel is decoded.
    """
    if size is not None:
        _check_size("the size that was asked for", size[1], size[0], max_pixels)
    picture = _open(data)
    _check_size("the picture", picture.width, picture.height, max_pixels)
    try:
        upright = ImageOps.exif_transpose(_rgb(picture))
    except Refused:
        raise
    except _DAMAGE as err:
        raise Refused(f"the picture is damaged or cut short: {err}") from err
    if size is not None:
        upright = upright.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(upright)


def _open(data: bytes) -> Image.Image:
    if not data:
        raise Refused("the picture is empty: send the bytes of a file")
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except _DAMAGE as err:
        raise Refused(f"{_kind(data)}: send a whole {ACCEPTED} file") from err


def _kind(data: bytes) -> str:
    head = data[:256].lstrip().lower()
    if data[4:8] == b"ftyp":
        return f"{_BRANDS.get(data[8:12], 'This kind of picture')} is not read here"
    if data.startswith(b"%PDF"):
        return "PDF is not read here"
    if head.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        return "SVG is not read here"
    return "these bytes are no picture that can be read"


def _check_size(what: str, width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise Refused(f"{what} is {width} x {height} pixels: both must be at least 1")
    if width * height > max_pixels:
        raise Refused(
            f"{what} is {width} x {height} pixels, {width * height / 1e6:.1f} megapixels; at most "
            f"{max_pixels / 1e6:g} are accepted: send a smaller one"
        )


def _rgb(picture: Image.Image) -> Image.Image:
    exif = picture.getexif()
    picture = _eight_bits(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    picture = picture.convert("RGB")
    picture.info["exif"] = exif.tobytes()
    return picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise Refused("the picture has floating-point pixels, which have no agreed white: save it with 8 or 16 bits")
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
