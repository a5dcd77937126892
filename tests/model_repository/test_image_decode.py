"""Decoding pictures, strictly."""

import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.model_repository.beside import module

picture = module("image-decode", "picture")

LIMIT = 40_000_000


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(image: Image.Image, kind: str = "PNG", **options: Any) -> np.ndarray:
    pixels: np.ndarray = picture.decode(encoded(image, kind, **options), LIMIT)
    assert pixels.dtype == np.uint8
    return pixels


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and has no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0")
    parts = [struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in (chunk, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rejection(data: bytes, limit: int = LIMIT, size: tuple[int, int] | None = None) -> str:
    with pytest.raises(picture.InvalidImageError) as caught:
        picture.decode(data, limit, size)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_every_accepted_format_gives_its_pixels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert decoded(Image.new("RGB", (5, 3), (10, 200, 30)), kind, **options).tolist() == [[[10, 200, 30]] * 5] * 3


def test_a_jpeg_gives_about_its_pixels() -> None:
    pixels = decoded(Image.new("RGB", (16, 8), (10, 200, 30)), "JPEG", quality=95)
    assert pixels.shape == (8, 16, 3)
    assert np.abs(pixels.astype(int) - [10, 200, 30]).max() < 4


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_images_are_upright(orientation: int, turned: Any, mode: str) -> None:
    stored = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10
    image = Image.fromarray(stored).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = turned(np.asarray(image.convert("RGB")))
    assert np.array_equal(decoded(image, exif=exif), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_each_format_is_turned_once(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"lossless": True} if kind == "WEBP" else {}
    assert decoded(Image.new("RGB", (5, 3)), kind, exif=exif, **options).shape == (5, 3, 3)


def texts(count: int, size: int, *, zipped: bool) -> PngImagePlugin.PngInfo:
    made = PngImagePlugin.PngInfo()
    for number in range(count):
        made.add_text(f"Comment {number}", "x" * size, zip=zipped)
    return made


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(3_000_000)
BESIDE_PIXELS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"a profile in {kind}": (kind, {"icc_profile": PROFILE}) for kind in ("PNG", "JPEG", "TIFF", "WEBP")},
    "a text": ("PNG", {"pnginfo": texts(1, 3_000_000, zipped=False)}),
    "a compressed text": ("PNG", {"pnginfo": texts(1, 3_000_000, zipped=True)}),
    "many compressed texts": ("PNG", {"pnginfo": texts(100, 1_000_000, zipped=True)}),
    "a comment in JPEG": ("JPEG", {"comment": b"x" * 60_000}),
    "a comment in GIF": ("GIF", {"comment": b"x" * 3_000_000}),
    "a description in TIFF": ("TIFF", {"tiffinfo": {270: "x" * 3_000_000}}),
    "metadata in WEBP": ("WEBP", {"xmp": b"x" * 3_000_000}),
}


@pytest.mark.parametrize(("kind", "options"), BESIDE_PIXELS.values(), ids=BESIDE_PIXELS)
def test_what_a_file_holds_beside_its_pixels_is_no_matter_however_large(kind: str, options: dict[str, Any]) -> None:
    pixels = decoded(Image.new("RGB", (5, 3), "red"), kind, **options)
    assert pixels.shape == (3, 5, 3)
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() < 4


@pytest.mark.parametrize("large", [False, True])
def test_a_text_of_a_png_may_say_which_side_is_up(large: bool) -> None:
    made = texts(5, 1_000_000, zipped=large)
    made.add_itxt("XML:com.adobe.xmp", '<rdf tiff:Orientation="6"/>')
    assert decoded(Image.new("RGB", (5, 3)), "PNG", pnginfo=made).shape == (5, 3, 3)


def test_damaged_exif_does_not_damage_the_image() -> None:
    text_for_orientation = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0"
    for exif in (text_for_orientation, b"Exif\0\0II*\0\xff\xff\xff\xff"):
        jpeg = encoded(Image.new("RGB", (5, 3)), "JPEG")
        segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
        assert picture.decode(jpeg[:2] + segment + jpeg[2:], LIMIT).shape == (3, 5, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str) -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    assert decoded(image.convert(mode)).tolist() == [[[255] * 3, [0] * 3]]


def test_half_transparency_is_mixed_with_white() -> None:
    assert decoded(Image.new("RGBA", (1, 1), (0, 0, 0, 128))).tolist() == [[[127] * 3]]


def test_palettes_and_bitmaps_become_colors() -> None:
    image = Image.new("RGB", (2, 1), (255, 0, 0))
    image.putpixel((1, 0), (0, 0, 255))
    assert decoded(image.quantize(2)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert decoded(Image.new("1", (1, 1), 1)).tolist() == [[[255] * 3]]


def test_cmyk_becomes_rgb() -> None:
    red = decoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "TIFF")
    assert red[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(kind: str) -> None:
    levels = Image.fromarray(np.array([[0, 0x0100, 0x8000, 0xFFFF]], np.uint16))
    assert decoded(levels, kind)[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("white", "black")]
    assert (decoded(frames[0], kind, save_all=True, append_images=frames[1:]) == 255).all()


def test_a_size_is_resized_to_with_antialiasing() -> None:
    stripes = Image.fromarray(np.tile(np.array([[0], [255]], np.uint8), (50, 100)))
    pixels = picture.decode(encoded(stripes), LIMIT, (10, 20))
    assert pixels.shape == (10, 20, 3)
    assert np.abs(pixels.astype(int) - 127).max() < 20


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC is not read"),
        (b"\0\0\0\x18ftypavif" + bytes(20), "AVIF is not read"),
        (b"%PDF-1.7 and so on", "PDF is not read"),
        (b'<?xml version="1.0"?><svg/>', "SVG is not read"),
        (b"GIF89", "not an image"),
        (b"some text", "not an image"),
    ],
)
def test_what_is_not_read_is_named_and_so_is_what_is(data: bytes, kind: str) -> None:
    message = rejection(data)
    assert kind in message
    assert "BMP, GIF, JPEG, PNG, TIFF or WebP" in message


def test_formats_that_pillow_could_read_are_rejected_all_the_same() -> None:
    assert "not an image" in rejection(encoded(Image.new("RGB", (2, 2)), "PPM"))


def test_an_empty_image_is_called_empty() -> None:
    assert "is empty" in rejection(b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_a_truncated_file_is_rejected(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for length in range(1, len(data) - 20, len(data) // 23):
        assert rejection(data[:length])


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's remarks on what it skips
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damaged_bytes_give_an_image_or_a_rejection(kind: str) -> None:
    random = np.random.default_rng(1)
    good = encoded(Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8)), kind)
    for _ in range(150):
        data = bytearray(good)
        for at in random.integers(0, len(data), 4):
            data[at] = random.integers(0, 256)
        with contextlib.suppress(picture.InvalidImageError):
            assert picture.decode(bytes(data), 1_000_000).shape[2] == 3


def test_sizes_are_judged_by_the_header() -> None:
    assert "50000 x 50000 pixels, 2500.0 megapixels; at most 40" in rejection(png_header(50_000, 50_000))
    assert "8000 x 6250 pixels, 50.0 megapixels" in rejection(png_header(8000, 6250))


def test_a_gif_is_not_larger_than_it_says() -> None:
    """Its frame says 65535 x 65280 pixels, for which Pillow would make room before it is asked for a size."""
    for control in (b"!\xf9\x04\x08\0\0\0\0", b""):  # the frame is to be disposed of, or is not
        frame = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65280, 0) + b"\x08\0;"
        assert "at most 40 megapixels" in rejection(b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + control + frame)


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (0, 0)])
def test_an_image_without_pixels_is_rejected(width: int, height: int) -> None:
    assert rejection(png_header(width, height))


@pytest.mark.parametrize("size", [(0, 5), (-1, 5), (8000, 8000)])
def test_a_size_that_makes_no_sense_is_rejected(size: tuple[int, int]) -> None:
    assert "the requested size" in rejection(encoded(Image.new("RGB", (2, 2))), size=size)


def test_floating_point_pixels_are_rejected() -> None:
    assert "floating-point" in rejection(encoded(Image.new("F", (2, 2), 0.5), "TIFF"))
