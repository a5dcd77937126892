"""The models that come with the project pass, and what is said of them is what their services say."""

from pathlib import Path

import pytest
import yaml

from switchyard.repository.huggingface.inspector import inspect
from switchyard.repository.huggingface.tensors import WeightTensor, count_parameters
from switchyard.repository.inspection import Device, Surroundings
from tests.switchyard.repository.huggingface.models import REPOSITORY, copy_of, edit, remove, write

SERVICES = Path(__file__).parents[4] / "manifests" / "services"
HERE = Surroundings(device=Device(memory=8 << 30))


@pytest.mark.parametrize("name", ["chat-fast", "chat-reasoning", "embed"])
def test_a_shipped_model_is_what_its_service_says(name: str) -> None:
    found = inspect(REPOSITORY / name, HERE)
    assert found.faults == ()
    assert found.facts is not None
    service = yaml.safe_load((SERVICES / name / "inferenceservice.yaml").read_text())
    assert found.facts.kind == service["metadata"]["labels"]["switchyard.dev/kind"]
    assert str(found.facts.context_length) == service["metadata"]["annotations"]["switchyard.dev/context-length"]


def test_the_facts_of_a_chat_model() -> None:
    facts = inspect(REPOSITORY / "chat-fast", HERE).facts
    assert facts is not None
    assert (facts.format, facts.architecture, facts.parameters) == ("huggingface", "LlamaForCausalLM", 1_074_560)
    assert (facts.dtype, facts.quantization, facts.accepts_images) == ("float32", "", False)
    assert facts.bytes > 4_000_000
    assert facts.memory.weights == 4 * 1_074_560
    assert facts.memory.kv_cache == 256 << 20
    assert facts.tool_parser == ""
    assert facts.notes == (
        "chat_template.jinja tells the model nothing of tools, so that the service derived for it takes none.",
    )


def test_a_template_with_tools_gets_the_parser_of_its_format(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + "{% if tools %}<tool_call>{name, arguments}</tool_call>{% endif %}")

    facts = inspect(folder, HERE).facts

    assert facts is not None
    assert (facts.tool_parser, facts.notes) == ("hermes", ())


def test_the_card_of_a_model_is_shown(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    card = "---\nlicense: apache-2.0\nlanguage: [en]\n---\n\n# A model\n\nAnswers\nquickly.\n\nMore.\n"
    write("README.md", card)(folder)
    facts = inspect(folder, HERE).facts
    assert facts is not None
    assert (facts.license, facts.description) == ("apache-2.0", "Answers quickly.")


@pytest.mark.parametrize("front", ["license: [", "a: &a [1]\nb: *a", "license: mit\n" + "#" * 100_000])
def test_a_card_that_cannot_be_read_is_a_note_and_costs_nobody_the_model(front: str, tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    write("README.md", f"---\n{front}\n---\nText.\n")(folder)
    facts = inspect(folder, HERE).facts
    assert facts is not None
    assert facts.license == ""
    assert "README.md" in facts.notes[0]


def test_a_model_without_a_chat_template_is_served_with_a_note(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    remove("chat_template.jinja")(folder)
    facts = inspect(folder, HERE).facts
    assert facts is not None
    assert "no chat template" in facts.notes[0]


def test_a_context_that_does_not_fit_is_cut_and_said(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    edit("config.json", max_position_embeddings=131072)(folder)
    facts = inspect(folder, HERE).facts
    assert facts is not None
    assert facts.context_length == 131072
    # A block of 256 beyond these tokens; keys and values, layers, heads, head_dim, bytes.
    assert facts.memory.kv_cache == (131072 + 256) * 2 * 5 * 4 * 32 * 4
    less = inspect(folder, Surroundings(device=Device(memory=1 << 30))).facts
    assert less is not None
    assert less.context_length == 65536
    assert less.memory.total <= 1 << 30
    assert "of the model's 131072" in less.notes[0]


def test_a_gpu_computes_in_half_the_bytes(tmp_path: Path) -> None:
    device = Device(kind="cuda", name="L4", memory=24 << 30, compute_capability=(8, 9))
    facts = inspect(REPOSITORY / "chat-fast", Surroundings(device=device)).facts
    assert facts is not None
    assert facts.dtype == "bfloat16"
    assert facts.memory.weights == 2 * 1_074_560


def test_what_only_some_requests_cannot_have_is_a_note(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    write(
        "chat_template.jinja",
        "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system messages') }}"
        "{% endif %}{{ message.content }}{% endfor %}{% if tools %}{{ tools.missing.name }}{% endif %}",
    )(folder)
    facts = inspect(folder, HERE).facts
    assert facts is not None
    assert facts.notes[0] == "chat_template.jinja rejects a system's message: no system messages"
    assert facts.notes[1].startswith("chat_template.jinja cannot be rendered for tools, which is an error: ")


def test_a_template_that_takes_parts_alone_is_one_for_chats(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    template = "{% for message in messages %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endfor %}"
    write("chat_template.jinja", template)(folder)
    assert inspect(folder, HERE).faults == ()


def test_a_token_that_no_request_needs_is_a_note(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    edit("tokenizer_config.json", pad_token="[PAD]")(folder)
    facts = inspect(folder, HERE).facts
    assert facts is not None
    assert "pad_token is [PAD], which tokenizer.json does not have" in facts.notes[0]


def test_packed_weights_are_counted_one_by_one() -> None:
    tensors = {
        "layers.0.qweight": WeightTensor(file="", shape=(128, 16), dtype="I32"),
        "layers.0.qzeros": WeightTensor(file="", shape=(1, 16), dtype="I32"),
        "layers.0.scales": WeightTensor(file="", shape=(1, 128), dtype="F16"),
        "norm.weight": WeightTensor(file="", shape=(128,), dtype="BF16"),
    }
    assert count_parameters(tensors, 4) == 128 * 16 * 8 + 128


def test_a_text_is_no_longer_than_the_table_of_positions(tmp_path: Path) -> None:
    folder = copy_of("embed", tmp_path)
    edit("sentence_bert_config.json", max_seq_length=8192)(folder)
    facts = inspect(folder, HERE).facts
    assert facts is not None
    assert facts.context_length == 512
    assert facts.parameters == 22_713_216
