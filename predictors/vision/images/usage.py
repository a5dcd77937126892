"""Counts what inferences use, where somebody asks for it: rows of a batch, and the pixels of images."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from math import prod

from predictors.vision.images.header import pixels_of
from predictors.vision.images.layout import NotAnImageError, image_layout
from predictors.vision.triton.model_config import ModelConfig
from switchyard.http.asgi.usage import Counted, counted

MOST_IMAGES = 1024  # of one request: each is looked at, and a batch of photos has less
_IMAGE_DIMENSIONS = 4  # with the batch

Shape = Sequence[int]


def add_tensors(counts: Counted, config: ModelConfig, shapes: Sequence[Shape]) -> None:
    """Add one request with tensors of these ``shapes``; the model rejects shapes that are not its own.

    Where the model takes one image as numbers, its pixels are those of the tensor.
    """
    pixels = 0
    rows = config.batched
    try:
        channels = image_layout(config).channels
    except NotAnImageError:
        pass
    else:
        pixels = max(map(prod, shapes), default=0) // channels
        rows = rows or len(config.inputs[0].shape) == _IMAGE_DIMENSIONS
    counts.inferences += max((shape[0] for shape in shapes if shape), default=1) if rows else 1
    counts.pixels += pixels


def count_tensors(config: ModelConfig, shapes: Sequence[Shape], texts: Iterable[bytes] = ()) -> None:
    """Count such a request if its caller asks for that, and the pixels of the encoded images among ``texts``.

    These are the elements of its BYTES tensors. They are read only if they are needed, and may raise a ValueError,
    for what Triton rejects.
    """
    if (counts := counted.get()) is None:
        return
    add_tensors(counts, config, shapes)
    if config.takes_bytes:
        with suppress(ValueError):
            for text in islice(texts, MOST_IMAGES):
                counts.pixels += pixels_of(text)


def count_image(data: bytes) -> None:
    """Count an inference on an encoded image, if its caller asks for that."""
    if (counts := counted.get()) is not None:
        counts.inferences += 1
        counts.pixels += pixels_of(data)
