"""From pixels to the tensor that a classifier's configuration asks for."""

import numpy as np
import pytest

from predictors.vision.images.layout import ImageLayout, NotAnImageError, image_layout
from predictors.vision.triton.model_config import ModelConfig, Port


def plan(shape: tuple[int, ...], datatype: str = "FP32", form: str = "NONE", **parameters: str) -> ImageLayout:
    port = Port(name="x", datatype=datatype, shape=shape, format=form)
    config = ModelConfig(
        name="m", inputs=(port,), outputs=(), parameters=parameters, dependencies=(), takes_bytes=False, batched=False
    )
    return image_layout(config)


def pixels(height: int = 4, width: int = 6) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "form", "expected", "size"),
    [
        ((-1, 3, 4, 6), "NCHW", (1, 3, 4, 6), (4, 6)),
        ((-1, 4, 6, 3), "NHWC", (1, 4, 6, 3), (4, 6)),
        ((3, 4, 6), "NONE", (3, 4, 6), (4, 6)),
        ((4, 6, 3), "NONE", (4, 6, 3), (4, 6)),
        ((1, 3, 4, 6), "NONE", (1, 3, 4, 6), (4, 6)),
        ((-1, 1, 4, 6), "NONE", (1, 1, 4, 6), (4, 6)),
        ((-1, 4, 6, 1), "NONE", (1, 4, 6, 1), (4, 6)),
        ((-1, 4, 6), "NONE", (1, 4, 6), (4, 6)),
        ((4, 6), "NONE", (4, 6), (4, 6)),
        ((-1, 3, -1, -1), "NCHW", (1, 3, 4, 6), None),
        ((-1, -1, 3), "NONE", (4, 6, 3), None),
        ((3, 3, 3), "NHWC", (3, 3, 3), (3, 3)),
    ],
)
def test_the_shape_says_how_pixels_lie(
    shape: tuple[int, ...], form: str, expected: tuple[int, ...], size: tuple[int, int] | None
) -> None:
    made = plan(shape, form=form)
    assert made.size == size
    picture = pixels() if size in ((4, 6), None) else pixels(3, 3)
    assert made.tensor(picture).shape == expected


def test_channels_first_and_last_hold_the_same_values() -> None:
    first, last = plan((3, 4, 6)).tensor(pixels()), plan((4, 6, 3)).tensor(pixels())
    assert np.array_equal(first.transpose(1, 2, 0), last)


@pytest.mark.parametrize(("shape", "expected"), [((-1, 16), (1, 16)), ((16,), (16,)), ((1, 16), (1, 16))])
def test_a_square_row_is_a_grey_image(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    made = plan(shape, scale="1")
    assert made.size == (4, 4)
    row = made.tensor(np.full((4, 4, 3), 100, np.uint8))
    assert row.shape == expected
    assert np.allclose(row, 100)


def test_grey_is_luma() -> None:
    red = np.zeros((1, 1, 3), np.uint8)
    red[0, 0, 0] = 255
    assert plan((-1, 1, 1, 1)).tensor(red).item() == pytest.approx(0.299)


def test_values_are_scaled_then_centered_for_each_channel() -> None:
    white = np.full((2, 2, 3), 255, np.uint8)
    made = plan((2, 2, 3), mean="0.5, 0.4, 0.2", std="0.5 0.5 0.4")
    assert made.tensor(white)[0, 0].tolist() == pytest.approx([1.0, 1.2, 2.0])


def test_inverted_images_are_dark_where_they_were_bright() -> None:
    assert plan((1, 1, 3), invert="true", scale="1").tensor(np.full((1, 1, 3), 250, np.uint8)).max() == 5


def test_bytes_stay_bytes_and_halves_are_halves() -> None:
    assert np.array_equal(plan((4, 6, 3), "UINT8").tensor(pixels()), pixels())
    assert plan((4, 6, 3), "FP16").tensor(pixels()).dtype == np.float16


@pytest.mark.parametrize("shape", [(10,), (-1, 10), (2, 4, 6, 3), (5, 4, 6), (-1,), (-1, -1)])
def test_other_shapes_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(NotAnImageError, match="is not an image"):
        plan(shape)


def test_other_datatypes_are_no_images() -> None:
    with pytest.raises(NotAnImageError, match="not FP32, FP16 or UINT8"):
        plan((3, 4, 6), "INT64")


@pytest.mark.parametrize(
    "parameters", [{"scale": "big"}, {"mean": "1 2"}, {"std": "0"}, {"invert": "yes"}, {"scale": "nan"}]
)
def test_a_parameter_that_cannot_be_read_is_named(parameters: dict[str, str]) -> None:
    with pytest.raises(NotAnImageError, match=f"its parameter '{next(iter(parameters))}'"):
        plan((3, 4, 6), **parameters)
