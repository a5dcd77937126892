"""What is counted of requests with tensors: the rows of a batch, and the pixels where they are images."""

from collections.abc import Sequence
from typing import Any

import pytest

from predictors.vision.images.usage import count_image, count_tensors
from predictors.vision.triton.model_config import ModelConfig, parse_config
from switchyard.http.asgi.usage import Counted, counted
from tests.predictors.vision.images.test_header import encoded


def model(*dims: int, batch: int = 0, datatype: str = "TYPE_FP32", more: Sequence[dict[str, Any]] = ()) -> ModelConfig:
    inputs = [{"name": "x", "data_type": datatype, "dims": list(dims)}, *more]
    return parse_config({"name": "m", "max_batch_size": batch, "input": inputs, "output": []})


@pytest.fixture
def counts() -> Counted:
    made = Counted()
    counted.set(made)
    return made


@pytest.mark.parametrize(
    ("config", "shape", "inferences", "pixels"),
    [
        (model(3, 224, 224, batch=8), [5, 3, 224, 224], 5, 5 * 224 * 224),
        (model(224, 224, 3, batch=8), [2, 224, 224, 3], 2, 2 * 224 * 224),
        (model(-1, 3, -1, -1), [4, 3, 100, 50], 4, 4 * 100 * 50),
        (model(28, 28, batch=4), [3, 28, 28], 3, 3 * 28 * 28),
        (model(3, 10, 10), [3, 10, 10], 1, 100),
        (model(7, batch=8), [6, 7], 6, 0),
        (model(-1), [1000], 1, 0),
        (model(7, batch=8), [], 1, 0),
    ],
)
def test_the_batch_is_the_inferences_and_images_have_pixels(
    counts: Counted, config: ModelConfig, shape: list[int], inferences: int, pixels: int
) -> None:
    count_tensors(config, [shape])
    assert (counts.inferences, counts.pixels) == (inferences, pixels)


def test_a_shape_that_stands_elsewhere_in_a_request_makes_it_no_cheaper(counts: Counted) -> None:
    count_tensors(model(3, 8, 8, batch=8), [[0], [5, 3, 8, 8], []])
    assert (counts.inferences, counts.pixels) == (5, 5 * 64)


def test_encoded_images_in_tensors_have_the_pixels_of_their_headers(counts: Counted) -> None:
    texts = [encoded(30, 20, "png"), b"no image", encoded(10, 10, "jpeg")]
    count_tensors(model(1, batch=8, datatype="TYPE_STRING"), [[3, 1]], texts)
    assert (counts.inferences, counts.pixels) == (3, 700)
    count_tensors(model(8, batch=8), [[1, 8]], texts)  # a model of numbers has no use for them
    assert (counts.inferences, counts.pixels) == (4, 700)


def test_texts_that_break_off_leave_what_was_counted(counts: Counted) -> None:
    def texts() -> Any:
        yield encoded(30, 20, "png")
        raise ValueError("it runs past its end")

    count_tensors(model(1, datatype="TYPE_STRING"), [[2]], texts())
    assert (counts.inferences, counts.pixels) == (1, 600)


def test_an_image_is_one_inference(counts: Counted) -> None:
    count_image(encoded(30, 20, "webp"))
    count_image(b"no image")
    assert (counts.inferences, counts.pixels) == (2, 600)


def test_where_nobody_asks_texts_are_not_read() -> None:
    def texts() -> Any:
        raise AssertionError
        yield b""

    counted.set(None)
    count_tensors(model(1, datatype="TYPE_STRING"), [[2]], texts())
