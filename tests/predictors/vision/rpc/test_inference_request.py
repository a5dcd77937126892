"""Shapes that a ModelInferRequest may announce, and what is read of one."""

import pytest

from predictors.vision.rpc.inference_request import RAW_CONTENTS, InferenceRequest, read_request, texts_of
from switchyard.rpc.protobuf import VARINT, write

HUGE = 2**32


def varint(value: int) -> bytes:
    """A number on the wire, negative ones as protobuf has them."""
    tagged = write(1, value & (2**64 - 1)) or b"\x08\x00"
    return tagged[1:]


def packed(*sizes: int) -> bytes:
    return write(3, b"".join(map(varint, sizes)))


def single(*sizes: int) -> bytes:
    return b"".join(bytes((3 << 3 | VARINT,)) + varint(size) for size in sizes)


def tensor(shape: bytes, *rest: bytes) -> bytes:
    return write(5, write(1, "x") + write(2, "FP32") + shape + b"".join(rest))


def read(*fields: bytes) -> InferenceRequest:
    message = write(1, "echo") + b"".join(fields)
    return read_request(message, len(message))


@pytest.mark.parametrize(
    "shape",
    [
        packed(1, 3, HUGE, HUGE),
        packed(2**62, 4),
        packed(2**63 - 1),
        packed(-1),
        packed(-(2**63)),
        packed(-2, -3),
        packed(0, 2**62),
        packed(2_000_000),
        single(1, 3, HUGE, HUGE),
        packed(1, 3) + packed(HUGE, HUGE),
        packed(1, 3) + single(HUGE, HUGE),
        packed(*[1] * 101),
        write(3, b"\x80"),
    ],
)
def test_a_tensor_that_the_message_cannot_contain_is_rejected_wherever_it_stands(shape: bytes) -> None:
    raw, inline = write(RAW_CONTENTS, b""), write(5, b"x" * 300)
    for fields in ((tensor(shape), raw), (raw, tensor(shape)), (tensor(packed(1)), tensor(shape, inline))):
        with pytest.raises(ValueError, match=r"shape|field"):
            read(*fields)


@pytest.mark.parametrize("shape", [b"", packed(), packed(0), packed(1, 3, 224, 224), packed(1_000_000), single(4)])
def test_tensors_that_can_be_are_left_to_triton(shape: bytes) -> None:
    assert read(tensor(shape), write(RAW_CONTENTS, bytes(4))).described


def test_shapes_are_those_of_all_inputs_however_their_dimensions_are_written() -> None:
    fields = (tensor(packed(2, 3)), tensor(single(4)), tensor(packed(5) + single(6)), tensor(b""))
    assert read(*fields) == ("echo", False, True, [(2, 3), (4,), (5, 6), ()])


def test_texts_are_the_elements_of_bytes_tensors_raw_or_as_contents() -> None:
    numbers = tensor(packed(1))
    raw = write(5, write(1, "image") + write(2, "BYTES") + packed(2))
    inline = write(5, write(2, "BYTES") + packed(2) + write(5, write(8, b"one") + write(8, b"two")))
    values = b"".join(len(text).to_bytes(4, "little") + text for text in (b"three", b""))
    message = write(1, "echo") + numbers + raw + write(RAW_CONTENTS, bytes(4)) + write(RAW_CONTENTS, values)
    assert list(texts_of(message)) == [b"three", b""]
    assert list(texts_of(write(1, "echo") + inline)) == [b"one", b"two"]
    assert list(texts_of(write(1, "echo") + raw)) == []
    with pytest.raises(ValueError, match="runs past its end"):
        list(texts_of(write(1, "echo") + raw + write(RAW_CONTENTS, b"\x09\0\0\0x")))


def test_a_beginning_describes_all_inputs_once_their_values_begin() -> None:
    message = write(1, "echo") + tensor(packed(1000), write(5, b"v" * 500)) + write(RAW_CONTENTS, bytes(9000))
    values = message.index(write(RAW_CONTENTS, bytes(9000)))
    for cut in range(6, values + 1):
        assert read_request(message[:cut], len(message), cut_off=True).described is False
    assert read_request(message[: values + 3], len(message), cut_off=True) == ("echo", False, True, [(1000,)])


def test_of_two_names_triton_would_take_the_other() -> None:
    with pytest.raises(ValueError, match="twice"):
        read(write(1, "other"))
    assert read(write(1, "echo"))[0] == "echo"
