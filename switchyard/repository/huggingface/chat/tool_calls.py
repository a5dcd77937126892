"""vLLM's parser of the tool calls that a model writes, chosen by its chat template.

A model writes calls as its template shows it earlier ones. The marks are those by which the parsers of the installed
vLLM (``vllm/tool_parsers``, ``vllm/parser``) know a call; for which models each is, its guide says:
https://docs.vllm.ai/en/latest/features/tool_calling/.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """``marks`` are all in a template of this format; ``architecture`` is how those that use it begin, if not any."""

    parser: str
    marks: tuple[str, ...]
    architecture: str = ""


# The first that fits: several formats have one mark, and Hermes', the most common one, has none that is its alone.
FORMATS = (
    Format("apertus", ("<|tools_prefix|>",)),
    Format("cohere_command3", ("<|START_ACTION|>",)),
    Format("deepseek_v3", ("<｜tool▁calls▁begin｜>", "```json")),
    Format("deepseek_v31", ("<｜tool▁calls▁begin｜>",)),
    Format("dots", ("<dots_function_call>",)),
    Format("functiongemma", ("<start_function_call>",)),
    Format("gemma4", ("<|tool_call>",)),
    Format("internlm", ("<|action_start|>", "<|plugin|>")),
    Format("kimi_k2", ("<|tool_calls_section_begin|>",)),
    Format("lfm2", ("<|tool_call_start|>",)),
    Format("llama3_json", ("<|python_tag|>",)),
    Format("longcat", ("<longcat_tool_call>",)),
    Format("minimax_m2", ("<minimax:tool_call>",)),
    Format("mistral", ("[TOOL_CALLS]",)),
    Format("olmo3", ("<function_calls>",), "Olmo3"),
    Format("openai", ("<|channel|>",), "GptOss"),
    Format("phi4_mini_json", ("functools[",)),
    Format("seed_oss", ("<seed:tool_call>",)),
    Format("ernie45", ("<tool_call>",), "Ernie4_5"),
    Format("glm47", ("<tool_call>", "<arg_key>"), "Glm"),
    Format("granite4", ("<tool_call>",), "GraniteMoeHybrid"),
    Format("granite", ("<|tool_call|>",), "Granite"),
    Format("hunyuan_a13b", ("<tool_calls>",), "HunYuan"),
    Format("jamba", ("<tool_calls>",), "Jamba"),
    Format("qwen3_coder", ("<tool_call>", "<function=", "<parameter="), "Qwen3"),
)
HERMES = Format("hermes", ("<tool_call>", "arguments"))
_NOT_HERMES = ("<arg_key>", "<function=", "<function ")  # calls in XML


def tool_parser(template: str, architecture: str) -> str:
    """Return the name of vLLM's parser of the calls that ``template`` shows; empty if none is known to read them."""
    for known in FORMATS:
        if architecture.startswith(known.architecture) and all(mark in template for mark in known.marks):
            return known.parser
    is_hermes = all(mark in template for mark in HERMES.marks) and not any(mark in template for mark in _NOT_HERMES)
    return HERMES.parser if is_hermes else ""


def missing_parser(template: str, file: str) -> str:
    """Return what a model without a parser is served without, as a sentence."""
    if "tools" not in template:
        return f"{file} tells the model nothing of tools, so that the service derived for it takes none."
    return (
        f"{file} has tools, but no format of calls that is known here, so that the service derived for it takes none: "
        "write one by `model add --write`, with `--enable-auto-tool-choice` and vLLM's `--tool-call-parser` for this "
        "model."
    )
