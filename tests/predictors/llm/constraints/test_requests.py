"""Which constraints of a request are found, in every protocol, and what is said of those that cannot be followed."""

import json
from typing import Any

import pytest

from predictors.llm.constraints.compiler import ConstraintCompiler
from predictors.llm.constraints.requests import check_constraints
from switchyard.http.api_errors import ApiError

COMPILER = ConstraintCompiler(lambda schema: "uniqueItems" in json.dumps(schema))
GOOD = {"type": "object", "properties": {"a": {"type": "boolean"}}}
BAD = {"type": "object", "properties": {"a": {"type": "any"}}}
LOOP = {"$ref": "#"}


async def said(payload: dict[str, Any]) -> tuple[str, str | None] | None:
    try:
        await check_constraints(COMPILER, payload)
    except ApiError as err:
        return err.message, err.param
    return None


def chat(schema: object) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def tool(schema: object, **more: object) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "forecast", "parameters": schema, **more}}]}


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        (chat(LOOP), "response_format.json_schema.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": LOOP}}}, "text.format.schema"),
        ({"output_config": {"format": {"type": "json_schema", "schema": LOOP}}}, "output_config.format.schema"),
        ({"structured_outputs": {"json": LOOP}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": json.dumps(LOOP)}}, "structured_outputs.json"),
        ({"structured_outputs": {"regex": "(a"}}, "structured_outputs.regex"),
        ({"structured_outputs": {"grammar": "root ::= " + "a?" * 999}}, "structured_outputs.grammar"),
        ({"structured_outputs": {"choice": ["a" * 400_000]}}, "structured_outputs.choice"),
        ({"structured_outputs": {"choice": [f"v{index}" for index in range(20_000)]}}, "structured_outputs.choice"),
        ({"structured_outputs": {"grammar": "root ::= root"}}, "structured_outputs.grammar"),
        (
            {"response_format": {"type": "structural_tag", "structures": [{"begin": "<" * 100_000, "schema": GOOD}]}},
            "response_format.structures[0].begin",
        ),
        (
            {"response_format": {"type": "structural_tag", "structures": [], "triggers": ["<" * 100_000]}},
            "response_format.triggers",
        ),
        (
            {"structured_outputs": {"structural_tag": json.dumps({"format": {"elements": [{"json_schema": LOOP}]}})}},
            "structured_outputs.structural_tag.format.elements[0].json_schema",
        ),
        (
            {"response_format": {"type": "structural_tag", "structures": [{"begin": "<", "schema": LOOP}]}},
            "response_format.structures[0].schema",
        ),
        ({"sampling_params": {"structured_outputs": {"json": LOOP}}}, "sampling_params.structured_outputs.json"),
    ],
)
async def test_an_output_that_cannot_follow_its_constraint_is_rejected(payload: dict[str, Any], param: str) -> None:
    found = await said(payload)
    assert found is not None
    assert found[0].startswith(f"the output cannot follow {param}: ")
    assert found[1] == param


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        (tool(BAD, strict=True), "tools[0].function.parameters"),
        (
            {"tools": [{"name": "forecast", "parameters": BAD, "strict": True}]},
            "tools[0].parameters",
        ),
        ({"tools": [{"name": "forecast", "input_schema": BAD, "strict": True}]}, "tools[0].input_schema"),
    ],
)
async def test_a_strict_tool_that_cannot_be_followed_is_named(payload: dict[str, Any], param: str) -> None:
    words = "the arguments of tool 'forecast' cannot follow its schema: properties.a.type: Unsupported type \"any\""
    assert await said(payload) == (words, param)


@pytest.mark.parametrize("choice", [None, "none", "auto", "required", {"type": "function", "name": "forecast"}])
@pytest.mark.parametrize("schema", [GOOD, BAD, LOOP, {"type": "array", "uniqueItems": True}, None])
async def test_a_tool_that_is_not_strict_is_never_an_error(choice: object, schema: object) -> None:
    assert await said({**tool(schema), "tool_choice": choice}) is None


@pytest.mark.parametrize(
    "payload",
    [
        chat(GOOD),
        tool(GOOD, strict=True),
        {"text": "a question", "response_format": None, "tools": "none"},
        {"response_format": {"type": "json_object"}, "structured_outputs": {"choice": ["a", "b"]}},
        {"structured_outputs": {"json": "{", "grammar": 'root ::= "a"{1,1000000}', "structural_tag": 5}},
        {"tools": [None, "x", {"type": "web_search"}, {"function": 5}]},
    ],
)
async def test_what_is_possible_or_no_constraint_passes(payload: dict[str, Any]) -> None:
    assert await said(payload) is None


async def test_strict_tools_and_formats_share_one_budget() -> None:
    tools = [
        {"name": f"f{i}", "strict": True, "input_schema": {"enum": [f"{i}-{j}" for j in range(900)]}} for i in range(4)
    ]
    found = await said({"tools": tools})
    assert found is not None
    assert "compiling it would cost" in found[0]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "forecast"}}])
async def test_a_name_that_the_model_must_say_costs_as_much_as_it_is_long(choice: object) -> None:
    long = {"tools": [{"type": "function", "function": {"name": "a" * 100_000}}]}
    found = await said({**long, "tool_choice": choice})
    assert found is not None
    assert found[0].startswith("the model cannot be made to say this name: compiling it")
    assert found[1] == "tools[0].function.name"
    assert await said({**long, "tool_choice": "auto"}) is None
