"""Writes the schemas of the engines' requests and responses, which the gateway's OpenAPI document needs.

``python -m tools.openapi`` asks vLLM's and KServe's own types for them. The gateway must import neither, so their
schemas are a file beside it, one line per schema. They are cut down to what a reader uses: no titles that repeat a
name, the first paragraph of a description, and of the Responses API's hundreds of types those that people write.
"""

import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

FILE = Path(__file__).parents[1] / "switchyard" / "gateway" / "openapi" / "engines.json"
COMPONENTS = "#/components/schemas/"

Schema = dict[str, Any]

# Where types are declared that routes of the gateway take or give.
SOURCES = {
    "vllm.entrypoints.openai.chat_completion.protocol": (
        "ChatCompletionRequest",
        "ChatCompletionResponse",
        "ChatCompletionStreamResponse",
    ),
    "vllm.entrypoints.openai.completion.protocol": (
        "CompletionRequest",
        "CompletionResponse",
        "CompletionStreamResponse",
    ),
    "vllm.entrypoints.openai.responses.protocol": ("ResponsesRequest", "ResponsesResponse"),
    "vllm.entrypoints.anthropic.protocol": (
        "AnthropicMessagesRequest",
        "AnthropicMessagesResponse",
        "AnthropicStreamEvent",
        "AnthropicCountTokensRequest",
        "AnthropicCountTokensResponse",
    ),
    "vllm.entrypoints.pooling.embed.protocol": ("EmbeddingCompletionRequest", "EmbeddingResponse"),
    "vllm.entrypoints.pooling.pooling.protocol": ("PoolingCompletionRequest", "PoolingResponse"),
    "vllm.entrypoints.pooling.scoring.protocol": (
        "ScoreQueriesDocumentsRequest",
        "ScoreTextRequest",
        "ScoreResponse",
        "RerankRequest",
        "RerankResponse",
    ),
    "vllm.entrypoints.serve.tokenize.protocol": (
        "TokenizeCompletionRequest",
        "TokenizeChatRequest",
        "TokenizeResponse",
        "DetokenizeRequest",
        "DetokenizeResponse",
    ),
    "kserve.protocol.rest.v2_datamodels": ("InferenceRequest", "InferenceResponse", "ModelMetadataResponse"),
}

# Of the types that only the Responses API has, those that are shown; the others are shown as objects.
RESPONSES = {
    "EasyInputMessageParam",
    "FunctionCallOutput",
    "FunctionTool",
    "IncompleteDetails",
    "InputTokensDetails",
    "OutputTokensDetails",
    "ResponseFunctionToolCall",
    "ResponseInputTextParam",
    "ResponseOutputMessage",
    "ResponseOutputText",
    "ResponseReasoningItem",
    "ResponseTextConfig",
    "ResponseUsage",
}
# What holds without being said: JSON Schema allows fields that it does not name.
SAYS_NOTHING: tuple[tuple[str, Any], ...] = (("default", None), ("additionalProperties", True))
# Details of OpenAI's own service, and types that two libraries call by one name.
HIDDEN = ("PromptCacheBreakpoint", "openai_harmony__", "SpeculativeDecodingMetrics")


def schemas() -> dict[str, Schema]:
    """Return the schemas by name, as under ``components`` of an OpenAPI document."""
    adapters = [
        (name, "validation", TypeAdapter(getattr(import_module(module), name)))
        for module, names in SOURCES.items()
        for name in names
    ]
    _, found = TypeAdapter.json_schemas(adapters, ref_template=COMPONENTS + "{model}")  # type: ignore[arg-type]
    declared: dict[str, Schema] = found["$defs"]
    roots = [name for names in SOURCES.values() for name in names]
    elsewhere = _reachable(declared, (name for name in roots if not name.startswith("Responses")))
    shown = {name for name in declared if name in elsewhere or name in RESPONSES or name.startswith("Responses")}
    shown = {name for name in shown if not any(hidden in name for hidden in HIDDEN)}
    cut = {name: _cut(declared[name], shown) for name in shown}
    kept = _reachable(cut, roots)
    return {_short(name): _renamed(cut[name]) for name in sorted(kept)}


def text() -> str:
    """Return the file's content."""
    lines = (f"{json.dumps(name)}: {json.dumps(schema, separators=(',', ':'))}" for name, schema in schemas().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(COMPONENTS)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _reachable(declared: dict[str, Schema], roots: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(declared[name]))
    return found


def _cut(schema: Schema, shown: set[str]) -> Schema:
    """``schema`` without what says nothing, and with objects in place of references to types that are not shown."""
    if "$ref" in schema and schema["$ref"].removeprefix(COMPONENTS) not in shown:
        return {"type": "object"}
    result: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {name: _cut(field, shown) for name, field in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            result[key] = _cut(value, shown)
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            result[key] = [_cut(one, shown) for one in value]
        elif key == "description":
            result[key] = " ".join(value.partition("\n\n")[0].split())
        elif (key, value) in SAYS_NOTHING or key in ("title", "discriminator"):
            continue
        else:
            result[key] = value
    return _merged(result)


def _merged(schema: Schema) -> Schema:
    """Join alternatives: equal ones appear once, and simple ones become a list of types."""
    if "anyOf" not in schema:
        return schema
    alternatives: list[Schema] = []
    for one in schema.pop("anyOf"):
        if one not in alternatives:
            alternatives.append(one)
    if len(alternatives) > 1 and all(set(one) == {"type"} for one in alternatives):
        return {"type": [one["type"] for one in alternatives], **schema}
    if len(alternatives) == 2 and alternatives[1] == {"type": "null"} and isinstance(alternatives[0].get("type"), str):
        first = alternatives[0]
        if "enum" not in first and "const" not in first:
            return {**first, "type": [first["type"], "null"], **schema}
    return {**schema, "anyOf": alternatives} if len(alternatives) > 1 else {**alternatives[0], **schema}


def _short(name: str) -> str:
    """Shorten a name that pydantic prefixed because two packages have such a type: the engine's keeps the short one."""
    parts = name.split("__")
    return f"OpenAI{parts[-1]}" if parts[0] == "openai" and len(parts) > 1 else parts[-1]


def _renamed(schema: Any) -> Any:
    if isinstance(schema, dict):
        new = {key: _renamed(value) for key, value in schema.items()}
        if isinstance(schema.get("$ref"), str):
            new["$ref"] = COMPONENTS + _short(schema["$ref"].removeprefix(COMPONENTS))
        return new
    return [_renamed(value) for value in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    FILE.write_text(text())
