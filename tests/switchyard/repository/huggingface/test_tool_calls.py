"""Which of vLLM's parsers reads the calls of a model, by what chat templates of well-known models have in them."""

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from switchyard.repository.huggingface.chat.tool_calls import FORMATS, HERMES, Format, missing_parser, tool_parser

QWEN2 = r"""
{%- if tools %}{{- "For each function call, return a json object with function name and arguments within
<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n
</tool_call>" }}{%- endif %}"""
QWEN3_CODER = "{% if tools %}<tool_call>\n<function=example>\n<parameter=one>\narguments\n</parameter>{% endif %}"
LLAMA_31 = "{%- if tools %}{{ 'Environment: ipython' }}{%- endif %}{{- '<|python_tag|>' + tool_call.name + '.call(' }}"
MISTRAL = "{%- if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}{%- endif %}{{- '[TOOL_CALLS][' }}"
DEEPSEEK_V3 = "{{'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + type + '<｜tool▁sep｜>' + '\\n' + '```json'}}"
DEEPSEEK_V31 = "{{'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + name + '<｜tool▁sep｜>' + arguments}}"
GLM = "<tool_call>{{ name }}\n<arg_key>{{ k }}</arg_key><arg_value>{{ v }}</arg_value> arguments </tool_call>"
GRANITE_3 = "{%- if tools %}<|tool_call|> followed by a list of arguments{%- endif %}"
GRANITE_4 = '<tools>{{ tools }}</tools> <tool_call>\n{"name": <name>, "arguments": <args>}</tool_call>'
ANOTHER = "{% if tools %}CALL {{ tools }}{% endif %}"
NONE = "{% for message in messages %}{{ message.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "architecture", "parser"),
    [
        (QWEN2, "Qwen2ForCausalLM", "hermes"),
        (QWEN2, "LlamaForCausalLM", "hermes"),  # Hermes' own models
        (QWEN3_CODER, "Qwen3MoeForCausalLM", "qwen3_coder"),
        (QWEN3_CODER, "MiMoForCausalLM", ""),
        (LLAMA_31, "LlamaForCausalLM", "llama3_json"),
        (MISTRAL, "MistralForCausalLM", "mistral"),
        (MISTRAL, "Mistral3ForConditionalGeneration", "mistral"),
        (DEEPSEEK_V3, "DeepseekV3ForCausalLM", "deepseek_v3"),
        (DEEPSEEK_V31, "DeepseekV3ForCausalLM", "deepseek_v31"),
        (GLM, "Glm4MoeForCausalLM", "glm47"),
        (GLM, "LlamaForCausalLM", ""),
        (GRANITE_3, "GraniteForCausalLM", "granite"),
        (GRANITE_4, "GraniteMoeHybridForCausalLM", "granite4"),
        (ANOTHER, "LlamaForCausalLM", ""),
        (NONE, "Qwen2ForCausalLM", ""),
        ("", "GPT2LMHeadModel", ""),
    ],
)
def test_the_parser_is_the_one_of_the_templates_format(template: str, architecture: str, parser: str) -> None:
    assert tool_parser(template, architecture) == parser


def test_what_no_parser_is_known_for_is_a_sentence() -> None:
    assert missing_parser(NONE, "chat_template.jinja") == (
        "chat_template.jinja tells the model nothing of tools, so that the service derived for it takes none."
    )
    assert "with `--enable-auto-tool-choice` and vLLM's `--tool-call-parser`" in missing_parser(ANOTHER, "a.jinja")


def _vllm() -> Path:
    found = find_spec("vllm")  # which imports nothing of it
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _modules() -> dict[str, str]:
    """The names of vLLM's parsers, and the module of each."""
    tree = ast.parse((_vllm() / "tool_parsers/__init__.py").read_text())
    (table,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_TOOL_PARSERS_TO_REGISTER"
    ]
    return {name: module for name, (module, _) in ast.literal_eval(table).items()}


@pytest.mark.parametrize("known", [*FORMATS, HERMES], ids=lambda known: str(known.parser))
def test_the_installed_vllm_has_the_parser_and_it_looks_for_these_marks(known: Format) -> None:
    module = _modules()[known.parser]
    sources = [_vllm() / f"tool_parsers/{module}.py", *(_vllm() / "parser").glob("*.py")]
    text = "\n".join(path.read_text() for path in sources).replace("\\", "")

    assert not [mark for mark in known.marks if mark not in text]
