"""No bytes in a folder make the inspector raise, and all that it says can be shown."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from switchyard.repository.huggingface import tensors
from switchyard.repository.huggingface.documents import FaultError
from switchyard.repository.huggingface.inspector import inspect
from switchyard.repository.inspection import Inspection, Surroundings
from tests.switchyard.repository.huggingface.models import REPOSITORY, copy_of, with_header

SMALL = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "chat_template.jinja")
NUMBERS = st.integers() | st.floats() | st.sampled_from((0, 1, -1, 2**31, 2**63, 10**40))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
CONFIG = json.loads((REPOSITORY / "chat-fast" / "config.json").read_text())
KEYS = (*CONFIG, "rope_scaling", "quantization_config", "text_config", "kv_lora_rank", "auto_map", "n_positions")
EDITS = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 64), st.binary(max_size=8)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of("chat-fast", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def judged(folder: Path) -> Callable[[str, bytes], Inspection]:
    """Judge the folder with other content in one file."""

    def judge(file: str, content: bytes) -> Inspection:
        before = (folder / file).read_bytes()
        (folder / file).write_bytes(content)
        try:
            return inspect(folder, Surroundings())
        finally:
            (folder / file).write_bytes(before)

    return judge


def assert_can_be_shown(found: Inspection) -> None:
    assert (found.facts is None) == bool(found.faults)
    sentences = [fault.message for fault in found.faults] + list(found.facts.notes if found.facts else ())
    assert all(sentence.isprintable() and len(sentence) < 800 for sentence in sentences)


def with_edits(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for start, length, new in edits:
        start %= len(content) + 1
        content = content[:start] + new + content[start + length :]
    return content


@given(st.sampled_from(SMALL), EDITS)
def test_any_bytes_in_a_small_file(
    judged: Callable[[str, bytes], Inspection], file: str, edits: list[tuple[int, int, bytes]]
) -> None:
    assert_can_be_shown(judged(file, with_edits((REPOSITORY / "chat-fast" / file).read_bytes(), edits)))


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3))
def test_any_value_in_the_configuration(judged: Callable[[str, bytes], Inspection], values: dict[str, object]) -> None:
    assert_can_be_shown(judged("config.json", json.dumps(CONFIG | values).encode()))


@given(st.sampled_from(("tokenizer_config.json", "generation_config.json")), st.data())
def test_any_value_in_what_goes_with_the_tokenizer(
    judged: Callable[[str, bytes], Inspection], file: str, data: st.DataObject
) -> None:
    document = json.loads((REPOSITORY / "chat-fast" / file).read_text())
    keys = st.sampled_from((*document, "chat_template", "added_tokens_decoder", "bos_token", "top_p", "auto_map"))
    document |= data.draw(st.dictionaries(keys, VALUES, min_size=1, max_size=3))
    assert_can_be_shown(judged(file, json.dumps(document).encode()))


@given(EDITS)
def test_any_bytes_at_the_beginning_of_the_weights(
    judged: Callable[[str, bytes], Inspection], edits: list[tuple[int, int, bytes]]
) -> None:
    whole = (REPOSITORY / "chat-fast" / "model.safetensors").read_bytes()
    assert_can_be_shown(judged("model.safetensors", with_edits(whole[:6000], edits) + whole[6000:]))


HEADER = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
TENSOR = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(("F32", "BF16", "F4", "F64", "BOOL")) | VALUES,
        "shape": st.lists(st.integers(0, 4) | NUMBERS, max_size=3) | VALUES,
        "data_offsets": st.lists(st.integers(0, 48) | NUMBERS, min_size=1, max_size=3) | VALUES,
    }
)
HEADERS = st.dictionaries(st.sampled_from("abc"), st.just(HEADER) | TENSOR, max_size=2) | VALUES


@given(header=HEADERS, size=st.integers(0, 48))
def test_what_is_read_without_the_library_is_what_the_library_takes(
    tmp_path_factory: pytest.TempPathFactory, header: object, size: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "model.safetensors"
    path.write_bytes(with_header(json.dumps(header).encode(), bytes(size)))
    try:
        with safe_open(path, "np") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError:
        shapes = {}
    with patch.object(tensors, "_MAPPED_BYTES", 0):
        try:
            found = {name: tensor.shape for name, tensor in tensors.read_weights(folder).items()}
        except FaultError:
            return
    assert found == shapes
