"""Encoded images, whose sizes count before anything is decoded: ``picture.py`` beside the model ``image-decode``."""

import io
import warnings

from PIL import Image

from tests.model_repository.beside import module

picture = module("image-decode", "picture")

TOKENS = (
    *(b"\x89PNG\r\n\x1a\n", b"\0\0\0\rIHDR", b"IDAT", b"IEND", b"acTL", b"eXIf", b"GIF89a", b",\0\0\0\0", b"!\xf9\x04"),
    *(b"\xff\xd8\xff", b"\xff\xc0\0\x11\x08", b"\xff\xe1", b"Exif\0\0", b"\xff\xdb", b"\xff\xda", b"RIFF", b"WEBPVP8 "),
    *(b"VP8L", b"VP8X", b"ALPH", b"II*\0", b"MM\0*", b"BM", b"\x28\0\0\0", b"\xff\xff", b"\xff\xff\xff\x7f", b"\0\x40"),
)
_PIXELS = 64 * 64


def target(data: bytes) -> None:
    try:
        pixels = picture.decode(data, _PIXELS)
    except picture.InvalidImageError:
        return
    height, width, channels = pixels.shape
    assert (channels, str(pixels.dtype)) == (3, "uint8")
    assert height * width <= _PIXELS
    with warnings.catch_warnings(action="ignore"):
        stated = Image.open(io.BytesIO(data)).size
    assert sorted(stated) == sorted((width, height))  # upright may mean turned
    assert picture.decode(data, _PIXELS, (3, 5)).shape == (3, 5, 3)
    try:
        picture.decode(data, height * width - 1)
    except picture.InvalidImageError:
        return
    raise AssertionError("an image larger than the limit was decoded")
