"""NaN and infinity are found in every type of number, wherever they lie in what is read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from switchyard.repository.huggingface import values
from switchyard.repository.huggingface.tensors import read_weights
from switchyard.repository.huggingface.values import check_values
from tests.switchyard.repository.huggingface.models import safetensors

Tensors = Mapping[str, tuple[str, tuple[int, ...], int]]
SIZE = 1 << 20


def said_of(folder: Path, tensors: Tensors, at: int, number: bytes) -> list[str]:
    """What is said of zeros, in which ``number`` stands at a byte, counted from the end."""
    content = bytearray(safetensors(tensors))
    content[len(content) - at : len(content) - at + len(number)] = number
    (folder / "model.safetensors").write_bytes(content)
    return [fault.message for fault in check_values(folder, read_weights(folder))]


@pytest.mark.parametrize(
    ("dtype", "good", "odd"),
    [
        ("F64", np.float64(-1e308).tobytes(), np.float64("nan").tobytes()),
        ("F32", np.float32(3e38).tobytes(), np.float32("-inf").tobytes()),
        ("F16", np.float16(65504).tobytes(), np.float16("inf").tobytes()),
        ("BF16", b"\x7f\x7f", b"\x80\x7f"),
        ("F8_E4M3", b"\x7e", b"\xff"),  # 448 is the largest
        ("F8_E5M2", b"\x7b", b"\x7c"),
        ("F8_E8M0", b"\xfe", b"\xff"),
        ("F8_E4M3FNUZ", b"\x7f", b"\x80"),
        ("F8_E5M2FNUZ", b"\xff", b"\x80"),
    ],
)
def test_a_number_that_is_none_is_found_in_every_type(dtype: str, good: bytes, odd: bytes, tmp_path: Path) -> None:
    tensors = {"first": ("U8", (8,), 8), "last": (dtype, (SIZE // len(odd),), SIZE)}
    for at in (SIZE, len(odd)):
        assert said_of(tmp_path, tensors, at, good) == []
        assert "in last of 2 tensors" in said_of(tmp_path, tensors, at, odd)[0]


def test_of_large_weights_each_tensor_is_read_at_its_ends_and_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "MOST_BYTES", SIZE // 2)
    tensors = {"small": ("F32", (64,), 256), "large": ("F32", (SIZE // 4,), SIZE)}
    block = b"\xff" * (SIZE // 7)  # wider than the gaps
    for at in (SIZE, SIZE // 2, len(block)):
        assert "in large of 2 tensors" in said_of(tmp_path, tensors, at, block)[0]
    assert "in small of 2 tensors" in said_of(tmp_path, tensors, SIZE + 4, b"\xff" * 4)[0]


def test_zeros_are_normal_but_for_the_only_token_embedding(tmp_path: Path) -> None:
    tensors = {
        "layer.bias": ("F32", (8,), 32),
        "layer.lora_B.weight": ("F32", (8, 8), 256),
        "image.embed_tokens.weight": ("F32", (8, 8), 256),
        "text.embed_tokens.weight": ("F32", (8, 8), 256),
    }
    half = np.float32(0.5).tobytes()
    assert said_of(tmp_path, tensors, 4, half) == []
    assert "zeros in image.embed_tokens.weight" in said_of(tmp_path, tensors, 600, half)[0]


def test_minus_infinity_is_normal_in_what_hides_tokens(tmp_path: Path) -> None:
    mask = np.full(8, -np.inf, np.float32).tobytes()
    assert said_of(tmp_path, {"layer.attn_mask": ("F32", (8,), 32)}, 32, mask) == []
