"""Which constraints a request puts on the model's text; wrong ones are named before the engine sees the request."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from predictors.llm.constraints.compiler import ConstraintCompiler
from predictors.llm.constraints.constraint import Constraint
from predictors.llm.request_check import TEXT_CONSTRAINTS
from switchyard.http.api_errors import ApiError

_SCHEMAS = ("schema", "json", "json_schema")
_REGEXES = ("regex", "pattern")


async def check_constraints(compiler: ConstraintCompiler, payload: dict[str, Any]) -> None:
    """Check the schemas, expressions and grammars that the text must follow, in a thread.

    Tools that the model must call are checked too, without an error: ``tool_calls`` then knows which to use.

    Raises:
        ApiError: one cannot be used.
    """
    tools = list(_tools(payload))
    must_call = payload.get("tool_choice") not in (None, "none", "auto")
    checked = [
        (f"the arguments of tool {name!r} cannot follow its schema", at, Constraint(kind="schema", text=schema))
        for name, at, schema, strict in tools
        if strict
    ]
    if must_call:
        checked += [("the model cannot be made to say this name", at, _words(name)) for at, name in _names(payload)]
    formats = {name: payload[name] for name in TEXT_CONSTRAINTS if name in payload}
    checked += [(f"the output cannot follow {at}", at, constraint) for at, constraint in _in(formats)]
    if checked:
        faults = await asyncio.to_thread(compiler.faults, [constraint for _, _, constraint in checked])
        for (problem, at, _), fault in zip(checked, faults, strict=True):
            if fault is not None:
                raise ApiError("invalid_schema", f"{problem}: {fault}", param=at)
    if tools and must_call:
        await asyncio.to_thread(compiler.faults, [argument_schema(schema) for _, _, schema, _ in tools])


def argument_schema(schema: str) -> Constraint:
    """Return the constraint of a tool that must be called, though not strictly by its schema."""
    return Constraint(kind="schema", text=schema, exact=False)


def _words(text: str) -> Constraint:
    return Constraint(kind="words", text=text)


def _in(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, Constraint]]:
    for key, child in value.items():
        at = f"{path}.{key}" if path else key
        if isinstance(child, str):
            yield from _of_text(key, child, at)
        elif key in _SCHEMAS and isinstance(child, dict) and "schema" not in child:
            yield at, Constraint(kind="schema", text=json.dumps(child))
        elif isinstance(child, dict):
            yield from _in(child, at)
        elif isinstance(child, list):
            yield from _of_list(child, at)


def _of_text(key: str, text: str, at: str) -> Iterator[tuple[str, Constraint]]:
    if key == "json" and _is_json_object(text):
        yield at, Constraint(kind="schema", text=text)
    elif key in _REGEXES:
        yield at, Constraint(kind="regex", text=text)
    elif key == "grammar":
        yield at, Constraint(kind="grammar", text=text)
    elif key == "structural_tag" and _is_json_object(text):
        yield from _in(json.loads(text), at)
    else:  # a tag, or a name, which costs as little as it is long
        yield at, _words(text)


def _of_list(items: list[Any], at: str) -> Iterator[tuple[str, Constraint]]:
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield from _in(item, f"{at}[{index}]")
    if words := "\n".join(item for item in items if isinstance(item, str)):
        yield at, _words(words)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:  # which the engine says
        return False


def _names(payload: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for at, function in _functions(payload):
        if isinstance(name := function.get("name"), str):
            yield f"{at}.name", name


def _tools(payload: dict[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    """Yield name, place, schema as JSON, and strictness of each tool."""
    for at, function in _functions(payload):
        for key in ("parameters", "input_schema"):
            if isinstance(schema := function.get(key), dict):
                name = str(function.get("name"))[:80]
                yield name, f"{at}.{key}", json.dumps(schema), function.get("strict") is True


def _functions(payload: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and function of each tool, in OpenAI's two shapes and Anthropic's."""
    tools = payload.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if isinstance(function, dict):
            yield f"tools[{index}]{'.function' if function is not tool else ''}", function
