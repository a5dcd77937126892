"""What a ModelInferRequest of Triton's ``grpc_service.proto`` names and announces, read without its values."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from predictors.vision.triton.inputs import Given
from predictors.vision.triton.shapes import MAX_DIMENSIONS, check_elements
from predictors.vision.triton.shapes import elements as product
from predictors.vision.triton.tensors import elements
from switchyard.rpc.protobuf import BYTES, VARINT, fields, once, varint
from switchyard.rpc.v2 import MODEL_NAME, MODEL_VERSION

RAW_CONTENTS = 7  # the values of all inputs, the last field of the message as every encoder writes it
_INPUT = 5
_NAME = 1  # of an input
_DATATYPE = 2  # of an input
_SHAPE = 3  # of an input
_CONTENTS = 5  # of an input, its values where they are not raw
_BYTES_CONTENTS = 8  # of contents
_SHORT = 256  # bytes of an input without values: a client's next one is likely to be the same


Shape = tuple[int, ...]


class InferenceRequest(NamedTuple):
    """``described`` says whether the message was long enough to describe all inputs."""

    model: str
    has_version: bool
    described: bool
    shapes: list[Shape]


def read_request(message: bytes, size: int, *, cut_off: bool = False) -> InferenceRequest:
    """Read ``message``, the beginning of one of ``size`` bytes.

    Raises:
        ValueError: it is no such message, or announces a tensor that it cannot contain.
    """
    model: bytes | None = None
    has_version, described, shapes = False, not cut_off, list[Shape]()
    for number, kind, start, end in fields(message, cut_off=cut_off):
        if kind != BYTES:
            continue
        if number == MODEL_NAME:
            model = once(model, message, start, end)
        elif number == MODEL_VERSION:
            has_version = True
        elif number == RAW_CONTENTS:
            described = True  # a guard sees to it that no input follows
        elif number == _INPUT and end <= len(message):
            short = end - start <= _SHORT
            count, shape = _known(message[start:end]) if short else _announced(message, start, end)
            check_elements(count, size)
            shapes.append(shape)
    return InferenceRequest((model or b"").decode(), has_version, described, shapes)


def inputs_of(message: bytes) -> list[Given]:
    """Return the inputs that the beginning of a request describes, which ``read_request`` has read."""
    found = []
    for number, kind, start, end in fields(message, cut_off=True):
        if number != _INPUT or kind != BYTES or end > len(message):
            continue
        texts = {
            inner: message[at:to] for inner, _, at, to in fields(message, start, end) if inner in (_NAME, _DATATYPE)
        }
        name, datatype = (texts.get(inner, b"").decode(errors="replace") for inner in (_NAME, _DATATYPE))
        found.append(Given(name, datatype, _announced(message, start, end)[1]))
    return found


def texts_of(message: bytes) -> Iterator[bytes]:
    """Yield the elements of the BYTES tensors of a whole request that ``read_request`` has read.

    Raises:
        ValueError: the raw values of one are not such elements.
    """
    inputs = [
        {inner: (first, last) for inner, _, first, last in fields(message, start, end)}
        for number, kind, start, end in fields(message)
        if number == _INPUT and kind == BYTES
    ]
    raw = [(start, end) for number, kind, start, end in fields(message) if number == RAW_CONTENTS and kind == BYTES]
    for number, tensor in enumerate(inputs):
        if message[slice(*tensor.get(_DATATYPE, (0, 0)))] != b"BYTES":
            continue
        if _CONTENTS in tensor:
            for inner, _, start, end in fields(message, *tensor[_CONTENTS]):
                if inner == _BYTES_CONTENTS:
                    yield message[start:end]
        elif number < len(raw):
            yield from elements(message[slice(*raw[number])])


@lru_cache(maxsize=512)
def _known(tensor: bytes) -> tuple[int, Shape]:
    return _announced(tensor, 0, len(tensor))


def _announced(message: bytes, at: int, end: int) -> tuple[int, Shape]:
    dimensions = tuple(islice(_dimensions(message, at, end), MAX_DIMENSIONS + 1))
    if len(dimensions) > MAX_DIMENSIONS:
        raise ValueError(f"a shape has more than {MAX_DIMENSIONS} dimensions")
    return product(dimensions), dimensions


def _dimensions(message: bytes, at: int, end: int) -> Iterator[int]:
    """Yield the shape of the input from ``at`` to ``end``: protobuf joins all of its fields, packed or single."""
    for number, kind, start, stop in fields(message, at, end):
        if number != _SHAPE or kind not in (BYTES, VARINT):
            continue
        numbers, start = message[start:stop], 0
        while start < len(numbers):
            try:
                value, start = varint(numbers, start)
            except IndexError:
                raise ValueError("a shape ends within a number") from None
            value &= (1 << 64) - 1
            yield value - (1 << 64) if value >> 63 else value
