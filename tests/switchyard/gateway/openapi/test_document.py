"""The OpenAPI document: all routes, valid, and every example as its schema says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from switchyard.gateway.openapi.descriptions import DESCRIPTIONS, GROUPS
from switchyard.gateway.openapi.errors import SENTENCES
from switchyard.gateway.routes.table import ROUTES
from switchyard.http.api_errors import CODES
from tests.switchyard.gateway.openapi.documents import DOCUMENT, events, operations, problems

# The schema that the OpenAPI Initiative publishes for 3.1.
SPECIFICATION = Path(__file__).parents[3] / "testdata" / "openapi-3.1.json"


def media() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body of a request and a response, by where it stands."""
    for method, path, operation in operations():
        for kind, one in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{method} {path} request {kind}", one
        for status, response in operation["responses"].items():
            for kind, one in response.get("content", {}).items():
                yield f"{method} {path} {status} {kind}", one


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        yield from (found for value in node.values() for found in references(value))
    elif isinstance(node, list):
        yield from (found for value in node for found in references(value))


def test_every_route_of_the_table_is_in_the_document_and_nothing_else() -> None:
    assert {(method, path) for method, path, _ in operations()} == {(route.method, route.path) for route in ROUTES}


def test_every_description_belongs_to_a_route_and_a_group() -> None:
    routes = {(route.method, route.path.replace("/versions/{version}", "")) for route in ROUTES}
    described = {tuple(name.split()) if " " in name else name for name in DESCRIPTIONS}
    assert described == {one if one in described else one[1] for one in routes}
    assert {described.group for described in DESCRIPTIONS.values()} == set(GROUPS)


def test_the_document_is_valid_by_the_specification() -> None:
    validator = Draft202012Validator(json.loads(SPECIFICATION.read_text()))

    assert [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(DOCUMENT)] == []


def test_every_schema_is_valid_and_every_reference_leads_somewhere() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for target in set(references(DOCUMENT)):
        node: Any = DOCUMENT
        for part in target.removeprefix("#/").split("/"):
            assert part in node, target
            node = node[part]


def test_every_schema_is_used() -> None:
    used = {target.rpartition("/")[2] for target in references(DOCUMENT)}
    used |= {one["x-event-schema"].rpartition("/")[2] for _, one in media() if "x-event-schema" in one}

    assert set(DOCUMENT["components"]["schemas"]) - used == set()


def test_operations_have_names_of_their_own_and_declare_the_variables_of_their_paths() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(names)) == len(names)
    for _, path, operation in operations():
        declared = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        assert declared == re.findall(r"{(\w+)}", path), path


@pytest.mark.parametrize(("where", "body"), list(media()), ids=lambda value: value if isinstance(value, str) else "")
def test_an_example_is_as_its_schema_says(where: str, body: dict[str, Any]) -> None:
    if "example" in body:
        assert problems(body["schema"], body["example"]) == []
    for one in events(body["example"]) if "x-event-schema" in body else ():
        assert problems({"$ref": body["x-event-schema"]}, one) == []


def test_every_body_that_is_json_has_an_example_or_a_reason() -> None:
    without = {where for where, body in media() if "example" not in body and "application/json" in where}

    # It would be itself, and what another request has got.
    kept = ("GET {}", "POST {}/cancel", "GET {}/input_items")
    responses = {f"{one.format('/v1/responses/{response_id}')} 200 application/json" for one in kept}
    assert without - responses == {
        "GET /openapi.json 200 application/json",
        "GET /v1/streams/{request_id} 200 application/json",
    }


def test_a_check_of_examples_finds_what_is_wrong() -> None:
    (schema,) = [body["schema"] for where, body in media() if where == "POST /v1/ocr request application/json"]

    assert problems(schema, {"picture": "x"}) == ["$: 'image' is a required property"]


def test_every_error_code_has_an_example_in_every_protocol() -> None:
    assert set(SENTENCES) == set(CODES)
    for name, response in DOCUMENT["components"]["responses"].items():
        ((kind, body),) = response["content"].items()
        assert set(body["examples"]) == {code for code, status in CODES.items() if str(status)[0] == name[-3]}
        for example in body["examples"].values():
            assert problems(body["schema"], example["value"]) == [], (name, kind)
