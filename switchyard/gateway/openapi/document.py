"""The OpenAPI document of every route, from the table, the descriptions, the examples and the schemas."""

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import orjson

from switchyard.gateway.openapi.batch_schemas import SCHEMAS as OF_BATCHES
from switchyard.gateway.openapi.descriptions import (
    EVENTS,
    GROUPS,
    JSON,
    PLAIN,
    Description,
    description,
    version_note,
)
from switchyard.gateway.openapi.errors import STATUSES, error_responses
from switchyard.gateway.openapi.parameters import (
    AUDIT_PARAMETERS,
    BATCH_PARAMETERS,
    CACHE_PARAMETERS,
    FILE_PARAMETERS,
    LIST_PARAMETERS,
    recording_parameters,
    usage_parameters,
)
from switchyard.gateway.openapi.schemas import BYTES, COUNT, MODEL, NOT_BLANK, OWN, TEXT, engines, reference
from switchyard.gateway.routes.table import ROUTES, Route

Node = dict[str, Any]
Example = Mapping[str, Any]

VERSION = "3.1.1"  # of the specification: its schemas are JSON Schema, as pydantic writes them
# In the order in which they count; ``{}`` says that a gateway without tenants asks for none.
_KEYS: Node = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "As OpenAI's clients send a key; a JWT too."},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "As Anthropic's do."},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "As Azure's do."},
}
_ABOUT = """\
Every route below has the same base URL. A request to a model that is asleep wakes it; a stream gets comments meanwhile.
OpenAI and Anthropic paths are also served below `/openai`, where KServe's clients look for them. `HEAD` is answered
like `GET`, `OPTIONS` with the methods of a path.
Every response has an `x-request-id`: the request's own, or a new one. Fields of vLLM's requests that are not listed are
ignored; a model's own errors keep their status and sentence."""


def document(version: str, routes: Iterable[Route] = ROUTES) -> Node:
    """Build the document for a gateway of ``version``."""
    examples, served = _examples(), tuple(routes)
    paths: Node = {}
    for route in served:
        example = examples.get(f"{route.method} {route.path}", {})
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, example)
    return {
        "openapi": VERSION,
        "info": {"title": "Switchyard", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(served),
            "responses": error_responses(),
            "securitySchemes": _KEYS,
        },
    }


def _schemas(routes: Iterable[Route]) -> Node:
    """Return all schemas; a body must name its model, which to an engine that has only one is optional."""
    schemas: Node = {**OWN, **OF_BATCHES, **engines()}
    for route in routes:
        for name in description(route.method, route.path).requests if route.body == "json" else ():
            schema = schemas[name]
            properties = {**schema["properties"], "model": MODEL}
            schemas[name] = {
                **schema,
                "properties": properties,
                "required": sorted({*schema.get("required", ()), "model"}),
            }
    return schemas


def _examples() -> Mapping[str, Example]:
    content: Mapping[str, Example] = orjson.loads(files(__package__).joinpath("examples.json").read_bytes())
    return content


def _operation(route: Route, example: Example) -> Node:
    described = description(route.method, route.path)
    operation: Node = {
        "operationId": _identifier(route),
        "tags": [described.group],
        "summary": route.summary,
        "description": " ".join(filter(None, [described.text, version_note(route.path), _models(route)])),
        "parameters": _parameters(route, example),
        "requestBody": _request(route, described, example),
        "responses": _responses(route, described, example),
    }
    return {name: value for name, value in operation.items() if value} | {"security": _security(route)}


def _identifier(route: Route) -> str:
    words = re.findall(r"\w+", route.path)
    return "_".join([route.method.lower(), *words])


def _models(route: Route) -> str:
    if route.by != "model":
        return ""
    kinds = ", ".join(sorted(route.kinds))
    return f"Kinds of model: {kinds}."


def _security(route: Route) -> list[Node]:
    if route.access == "open":
        return []
    roles = [] if route.access == "key" else [route.access]
    return [{}, *({name: roles} for name in _KEYS)]


def _parameters(route: Route, example: Example) -> list[Node]:
    values = example.get("path", {})
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": TEXT, "example": values.get(name, "1")}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += [{"name": name, "in": "query", **about} for name, about in _query(route).items()]
    if route.query:
        parameters.append({"name": "top_k", "in": "query", "schema": COUNT, "description": "How many labels."})
    return parameters


def _query(route: Route) -> Mapping[str, Mapping[str, Any]]:
    """Return the parameters of a route that answers from the store."""
    if route.by == "recordings":
        return recording_parameters(route.path)
    if route.path == "/v1/organization/cache":
        return CACHE_PARAMETERS
    if route.by == "usage":
        return usage_parameters(route.path)
    listing = {
        "/v1/organization/audit_logs": AUDIT_PARAMETERS,
        "/v1/files": FILE_PARAMETERS,
        "/v1/batches": BATCH_PARAMETERS,
    }
    if route.method == "GET" and route.path in listing:
        return listing[route.path]
    return LIST_PARAMETERS if route.by == "admin" and route.method == "GET" and "{" not in route.path else {}


def _request(route: Route, described: Description, example: Example) -> Node:
    if route.shape == "text":
        return {"required": True, "content": {PLAIN: _media(NOT_BLANK, example.get("request"))}}
    if route.body == "file":
        return {"required": True, "content": {"multipart/form-data": _media(reference("FileForm"))}}
    if route.body == "none" or not described.requests:
        return {}
    content = {JSON: _media(_any_of(described.requests), example.get("request"))}
    if route.query:  # the routes that take images
        content |= {"image/*": _media(BYTES), "multipart/form-data": _media(reference("ImageForm"))}
    return {"required": described.needs_body, "content": content}


def _responses(route: Route, described: Description, example: Example) -> Node:
    content: Node = {}
    if described.responses:
        content[JSON] = _media(_any_of(described.responses), example.get("response"))
    if described.event:
        content[EVENTS] = _stream(described.event, example.get("stream"))
    for kind in described.content:
        content[kind] = _media(TEXT if kind.startswith("text/") else {"type": "object"}, example.get(kind))
    responses: Node = {"200": {"description": "The response.", "content": content}}
    if described.unavailable:
        responses["503"] = {"description": "It is not; `reason` says why.", "content": content}
    if route.by != "pages" or route.access != "open":
        responses |= {status: {"$ref": f"#/components/responses/{route.shape}-{status}"} for status in STATUSES}
    return responses


def _media(schema: Node, example: Any = None) -> Node:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _stream(event: str, example: str | None) -> Node:
    """Describe a stream of events; ``x-event-schema`` says what OpenAPI 3.1 has no word for."""
    about = f"Server-sent events. The `data` of each is {event}; what ends the stream may be `[DONE]`."
    media = _media({**TEXT, "description": about}, example)
    return {**media, "x-event-schema": f"#/components/schemas/{event}"}


def _any_of(names: tuple[str, ...]) -> Node:
    first, *others = names
    return {"anyOf": [reference(name) for name in names]} if others else reference(first)
