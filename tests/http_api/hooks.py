"""What schemathesis cannot read in the document, and checks of ours; it loads this module by ``SCHEMATHESIS_HOOKS``."""

from collections.abc import Iterator
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

from switchyard.gateway.openapi.descriptions import EVENTS
from switchyard.http.server.http1_headers import METHODS

Node = dict[str, Any]

# Headers that change what the gateway does with a request; the document has none of them as a parameter.
HEADERS = ("x-request-id", "traceparent", "inference-header-content-length")
_RETRIED = (429, 503)


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: Node) -> None:
    """Let half of all requests name a model that is there, vary the headers, and say what events are."""
    for operation in _operations(raw_schema):
        parameters = operation.setdefault("parameters", [])
        for parameter in parameters:
            if parameter["name"] in ("model", "version"):
                parameter["schema"] = {"enum": [parameter["example"]]}
        parameters += [{"name": name, "in": "header", "schema": {"type": "string"}} for name in HEADERS]
        _name_model(raw_schema, operation)
        operation["security"] = [one for one in operation["security"] if "bearer" in one]
        for response in operation["responses"].values():
            for kind, media in response.get("content", {}).items():
                if kind == EVENTS and "x-event-schema" in media:
                    media["schema"] = _event({"$ref": media["x-event-schema"]})


@schemathesis.hook
def filter_case(context: HookContext, case: Case[Any]) -> bool:
    """Leave out methods that the server has for no path: they are 501 (RFC 9110 §9.1)."""
    return case.method.encode() in METHODS


@schemathesis.check
def has_a_request_id(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    assert response.headers.get("x-request-id"), "no x-request-id"


@schemathesis.check
def says_when_to_retry(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    said = response.headers.get("retry-after") or response.headers.get("x-should-retry")
    assert response.status_code not in _RETRIED or said, "no retry-after"


def _operations(document: Node) -> Iterator[Node]:
    for methods in document["paths"].values():
        yield from methods.values()


def _name_model(document: Node, operation: Node) -> None:
    """Let the model of a body be that of the route's example."""
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = media.get("example")
    if not isinstance(example, dict) or "model" not in example:
        return
    for one in media["schema"].get("anyOf", [media["schema"]]):
        schema = document["components"]["schemas"][one["$ref"].rpartition("/")[2]]
        schema["properties"]["model"] = {"enum": [example["model"]]}


def _event(data: Node) -> Node:
    """An event as schemathesis shows it to a schema; its data is JSON, an error, or the last event's."""
    error: Node = {"type": "object", "required": ["error"]}
    payload = {"contentMediaType": "application/json", "contentSchema": {"anyOf": [data, error]}}
    return {"type": "object", "properties": {"data": {"anyOf": [{"const": "[DONE]"}, payload]}}}
