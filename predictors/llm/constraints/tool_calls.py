"""How the arguments of tool calls are constrained, beyond what vLLM does.

A tool that the client requires gets arguments of its schema if the engine can follow it, and any JSON object if not;
only tools with ``strict: true`` must have a schema that it can follow (``constraints`` checks that). White space
between the tokens of JSON is bounded: small models write it without end.
"""

import json
from typing import Any

from pydantic import BaseModel
from vllm.tool_parsers import ToolParser, ToolParserManager
from vllm.tool_parsers.tool_strict_level import ToolStrictLevel
from xgrammar.structural_tag import JSONSchemaFormat

from predictors.llm.constraints.compiler import ConstraintCompiler
from predictors.llm.constraints.requests import argument_schema

MAX_WHITESPACE = 1  # in a row: JSON as models were trained on it, `{"a": 1, "b": 2}`

_ANY_OBJECT = {"type": "object"}


def constrain_tool_calls(name: str, compiler: ConstraintCompiler) -> None:
    """Replace vLLM's tool parser of this name by one with these constraints."""
    parser = ToolParserManager.get_tool_parser(name)
    ToolParserManager.register_module(name, force=True, module=_constrained(parser, compiler))


def _constrained(parser: type[ToolParser], compiler: ConstraintCompiler) -> type[ToolParser]:
    class ConstrainedToolParser(parser):  # type: ignore[misc]
        def get_structural_tag(
            self, request: Any, *, reasoning: bool = False, strict_level: ToolStrictLevel = ToolStrictLevel.AUTO
        ) -> Any:
            asked = request.model_copy(update={"tools": _pinned(request, compiler)})
            tag = super().get_structural_tag(asked, reasoning=reasoning, strict_level=strict_level)
            if tag is not None:
                _bound_whitespace(tag)
            return tag

        def adjust_request(self, request: Any) -> Any:
            """Constrain the calls of parsers that have no structural tag: by one schema for all tools."""
            tools = request.tools
            request.tools = _pinned(request, compiler)
            try:
                return super().adjust_request(request)
            finally:
                request.tools = tools

    return ConstrainedToolParser


def _pinned(request: Any, compiler: ConstraintCompiler) -> Any:
    """Return the tools as the constraint shall see them; when the model may choose, they stay as they are."""
    if not request.tools or request.tool_choice in (None, "none", "auto"):
        return request.tools
    functions = [getattr(tool, "function", tool) for tool in request.tools]
    named = getattr(getattr(request.tool_choice, "function", request.tool_choice), "name", None)
    schemas = [
        (named in (None, getattr(function, "name", None)) and getattr(function, "parameters", None)) or _ANY_OBJECT
        for function in functions
    ]
    found = compiler.faults(argument_schema(json.dumps(schema)) for schema in schemas)
    return [
        _strict(tool, _ANY_OBJECT if fault else schema)
        for tool, schema, fault in zip(request.tools, schemas, found, strict=True)
    ]


def _strict(tool: Any, schema: dict[str, Any]) -> Any:
    update = {"parameters": schema, "strict": True}
    if hasattr(tool, "function"):
        return tool.model_copy(update={"function": tool.function.model_copy(update=update)})
    return tool.model_copy(update=update) if hasattr(tool, "parameters") else tool


def _bound_whitespace(node: Any) -> None:
    if isinstance(node, JSONSchemaFormat):
        node.max_whitespace_cnt = MAX_WHITESPACE
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            _bound_whitespace(getattr(node, name))
    elif isinstance(node, list | tuple):
        for item in node:
            _bound_whitespace(item)
