"""The OpenAPI document of every route, from the table, the descriptions, the examples and the schemas."""

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import orjson

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
from switchyard.gateway.openapi.parameters import LIST_PARAMETERS, ROWS_PARAMETERS, USAGE_PARAMETERS
from switchyard.gateway.openapi.schemas import BYTES, COUNT, OWN, TEXT, engines, reference
from switchyard.gateway.routes.table import ROUTES, Route

Node = dict[str, Any]
Example = Mapping[str, Any]

VERSION = "3.1.1"  # of the specification: its schemas are JSON Schema, as pydantic writes them
_ABOUT = """\
Every route below has the same base URL. A request to a model that is asleep wakes it; a stream gets comments meanwhile.
OpenAI and Anthropic paths are also served below `/openai`, where KServe's clients look for them. `HEAD` is answered
like `GET`, `OPTIONS` with the methods of a path.
Every response has an `x-request-id`: the request's own, or a new one. Fields of vLLM's requests that are not listed are
ignored; a model's own errors keep their status and sentence."""


def document(version: str, routes: Iterable[Route] = ROUTES) -> Node:
    """Build the document for a gateway of ``version``."""
    examples = _examples()
    paths: Node = {}
    for route in routes:
        example = examples.get(f"{route.method} {route.path}", {})
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, example)
    return {
        "openapi": VERSION,
        "info": {"title": "Switchyard", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": paths,
        "components": {"schemas": {**OWN, **engines()}, "responses": error_responses()},
    }


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
    return {name: value for name, value in operation.items() if value}


def _identifier(route: Route) -> str:
    words = re.findall(r"\w+", route.path)
    return "_".join([route.method.lower(), *words])


def _models(route: Route) -> str:
    if route.by != "model":
        return ""
    kinds = ", ".join(sorted(route.kinds))
    return f"Kinds of model: {kinds}."


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
    if route.by == "usage":
        return ROWS_PARAMETERS if route.path.endswith("/rows") else USAGE_PARAMETERS
    return LIST_PARAMETERS if route.by == "admin" and route.method == "GET" and "{" not in route.path else {}


def _request(route: Route, described: Description, example: Example) -> Node:
    if route.shape == "text":
        return {"required": True, "content": {PLAIN: _media(TEXT, example.get("request"))}}
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
    if route.by != "pages":
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
