"""The size in the header of every format that is decoded, against the library that decodes them."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from predictors.vision.images.header import pixels_of

FORMS: dict[str, dict[str, Any]] = {
    "bmp": {"format": "BMP"},
    "gif": {"format": "GIF"},
    "jpeg": {"format": "JPEG"},
    "progressive jpeg with profile": {"format": "JPEG", "progressive": True, "icc_profile": b"p" * 200_000},
    "png": {"format": "PNG"},
    "tiff": {"format": "TIFF"},
    "webp": {"format": "WEBP"},
    "lossless webp": {"format": "WEBP", "lossless": True},
    "extended webp": {"format": "WEBP", "icc_profile": b"p" * 100},
}


def encoded(width: int, height: int, form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(out, **FORMS[form])
    return out.getvalue()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [(1, 1), (3, 700), (1000, 2), (640, 480)])
def test_an_image_has_the_pixels_that_its_decoder_finds(form: str, size: tuple[int, int]) -> None:
    assert pixels_of(encoded(*size, form)) == size[0] * size[1]


@pytest.mark.parametrize("form", FORMS)
def test_exif_before_the_size_is_passed_over(form: str) -> None:
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = "a long description " * 100
    Image.new("RGB", (30, 20)).save(out, exif=exif, **FORMS[form])
    assert pixels_of(out.getvalue()) == 600


def test_other_ways_to_write_a_size() -> None:
    assert pixels_of(b"BM" + bytes(12) + struct.pack("<IHH", 12, 30, 20)) == 600  # OS/2's header
    assert pixels_of(b"BM" + bytes(12) + struct.pack("<Iii", 40, 30, -20)) == 600  # from top to bottom
    entries = struct.pack(">HHIHH", 256, 3, 1, 30, 0) + struct.pack(">HHII", 257, 4, 1, 20)
    assert pixels_of(b"MM\0*" + struct.pack(">IH", 8, 2) + entries) == 600


@pytest.mark.parametrize(
    "data",
    [b"", b"text", b"%PDF-1.7", b"\xff\xd8", b"\xff\xd8\xff\xda\xff", b"RIFF....WEBPxxxx", b"RIFF....WEBPVP8X\x0a"],
)
def test_what_has_no_size_has_no_pixels(data: bytes) -> None:
    assert pixels_of(data) == 0


@given(st.sampled_from([*FORMS]), st.binary(max_size=40), st.integers(0, 400), st.integers(0, 400))
def test_damaged_images_have_some_number_of_pixels_and_no_error(form: str, noise: bytes, at: int, cut: int) -> None:
    data = encoded(30, 20, form)
    assert pixels_of(data[:at] + noise + data[at + len(noise) :]) >= 0
    assert pixels_of(data[:cut]) in (0, 600)
