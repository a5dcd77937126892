"""What is said of schemas, expressions and grammars: which can be followed, and which cost too much to compile."""

import json
import time
from typing import Any

import pytest

from predictors.llm.constraints.compiler import MAX_COST, ConstraintCompiler
from predictors.llm.constraints.constraint import Constraint

Schema = dict[str, Any]
COMPILER = ConstraintCompiler(lambda schema: "uniqueItems" in json.dumps(schema))  # stands for the engine's own check


def said(schema: Schema, *, exact: bool = True) -> str | None:
    (fault,) = COMPILER.faults([Constraint(kind="schema", text=json.dumps(schema), exact=exact)])
    return None if fault is None else str(fault)


def with_properties(*schemas: Schema) -> Schema:
    return {"type": "object", "properties": {f"p{index}": schema for index, schema in enumerate(schemas)}}


LINKED: Schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
DEFINED: Schema = {"$defs": {"day": {"enum": ["mon", "tue"]}}, **with_properties({"$ref": "#/$defs/day"})}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"const": {"a": [1, None]}},
        {"type": ["string", "null"]},
        {"allOf": [with_properties({"type": "string"})]},
        {"type": "array", "items": {"type": "string", "maxLength": 10**9}, "maxItems": 10**12},
        {"type": "string", "format": "date-time"},
        {"enum": [f"v{index}" for index in range(1000)]},
        with_properties(*[{"type": "string", "maxLength": 255}] * 100),
        DEFINED,
        LINKED,
    ],
)
def test_ordinary_schemas_can_be_followed(schema: Schema) -> None:
    assert said(schema) is None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (with_properties({"type": "array", "items": [{"type": "string"}]}), "properties.p0.items: items must be"),
        (with_properties({"type": "any"}), 'properties.p0.type: Unsupported type "any"'),
        ({"anyOf": [{}, {"type": "string", "pattern": r"\p{L}"}]}, "anyOf[1].pattern: Regex parsing error"),
        ({"type": "string", "minLength": 5, "maxLength": 2}, "minLength: minLength 5 is greater than maxLength 2"),
        (with_properties({"$ref": "#/$defs/none"}), "properties.p0.$ref: Cannot find field $defs"),
        ({"type": "string", "minLength": -1}, "minLength: the engine cannot compile it"),
        ({"type": "string", "pattern": "^a{1,1000}$"}, "pattern: the engine cannot compile it"),
        ({"type": "integer", "maximum": 10**30}, "maximum: the engine cannot compile it"),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_what_cannot_be_compiled_is_said_with_path_and_keyword(schema: Schema, words: str, *, exact: bool) -> None:
    found = said(schema, exact=exact)
    assert found is not None
    assert found.startswith(words)


def test_what_the_engine_would_ignore_is_a_fault_only_where_a_schema_is_followed_exactly() -> None:
    schema = with_properties({"type": "string"}, {"type": "array", "uniqueItems": True})
    assert said(schema) == "properties.p1.uniqueItems: the engine cannot follow this keyword here"
    assert said(schema, exact=False) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, {"type": "string"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, **with_properties({"$ref": "#/$defs/a"})},
        with_properties({"$ref": "#/properties/p0"}),
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"allOf": [{"$ref": "#/$defs/a~1b"}]}}},
    ],
)
def test_a_reference_that_leads_to_itself_is_a_fault(schema: Schema) -> None:
    found = said(schema)
    assert found is not None
    assert found.endswith("$ref: it leads to itself without anything between")


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("schema", json.dumps(with_properties(*[{}] * 2000)), "properties: compiling it"),
        ("schema", json.dumps({"enum": ["x" * 1000] * 100}), "enum: compiling it"),
        (
            "schema",
            json.dumps(with_properties(*[{"maxLength": 1000 + index} for index in range(99)])),
            "maxLength: compiling it",
        ),
        ("schema", json.dumps({"type": "string", "pattern": ".?" * 300}), "pattern: compiling it"),
        (
            "schema",
            json.dumps(with_properties(*[{"minimum": i, "maximum": 1e300} for i in range(99)])),
            "minimum: compiling it",
        ),
        ("schema", json.dumps({**with_properties(*[{}] * 200), "minProperties": 100}), "properties: compiling it"),
        ("regex", ".?" * 600, "compiling it"),
        ("schema", json.dumps({"description": "x" * 200_000}), "it has 200019 characters"),
        ("grammar", "root ::= " + "[a-z]?" * 1500, "compiling it"),
        ("regex", "." * 4000, "compiling it"),
        ("regex", "[^a]" * 4000, "compiling it"),
        ("regex", r"\w\S" * 2000, "compiling it"),
        ("words", "a" * 30_000, "compiling it"),
        ("words", "a" * 400_000, "it has 400000 characters"),
    ],
)
def test_what_the_compiler_takes_seconds_for_is_rejected_before_it_is_compiled(
    kind: Any, text: str, words: str
) -> None:
    began = time.thread_time()
    (fault,) = COMPILER.faults([Constraint(kind=kind, text=text)])
    assert time.thread_time() - began < 1
    assert fault is not None
    assert str(fault).startswith(words)


def test_many_constraints_have_one_budget() -> None:
    some = [with_properties(*[{"type": "boolean"}] * count) for count in range(300, 310)]
    found = COMPILER.faults(Constraint(kind="schema", text=json.dumps(schema)) for schema in some)
    assert found[0] is None
    assert found[-1] is not None
    assert f"{MAX_COST:.0f} are allowed" in found[-1].reason


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("grammar", "root ::= root"),
        ("regex", "[^\\x00-\\U0010ffff]"),
        ("regex", "a[^\\x00-\\U0010ffff]"),
    ],
)
def test_what_no_text_matches_is_a_fault(kind: Any, text: str) -> None:
    (fault,) = COMPILER.faults([Constraint(kind=kind, text=text)])
    assert fault is not None
    assert "no text matches it" in fault.reason


@pytest.mark.parametrize("text", ["a?", "", "(yes|no)"])
def test_what_matches_the_empty_text_or_more_is_no_fault(text: str) -> None:
    assert COMPILER.faults([Constraint(kind="regex", text=text)]) == [None]


def test_a_regular_expression_that_cannot_be_compiled_is_a_fault() -> None:
    good, bad = COMPILER.faults([Constraint(kind="regex", text="a+"), Constraint(kind="regex", text=r"(a)\1")])
    assert good is None
    assert bad is not None
    assert "Backreference is not supported" in bad.reason
