"""A model server that responds with the examples of the OpenAPI document, and a catalog of the models in them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from switchyard.catalog import Catalog, Model, State
from switchyard.catalog.models import Kind
from switchyard.gateway.openapi.descriptions import EVENTS, JSON
from switchyard.gateway.routes.match import Missed, Router
from switchyard.gateway.routes.table import ROUTES
from tests.switchyard.gateway.conftest import Call
from tests.switchyard.gateway.openapi.documents import DOCUMENT

KINDS: Mapping[str, Kind] = {
    "chat-fast": "llm",
    "embed": "embedding",
    "ocr": "vision",
    "my-classifier": "vision",
    "two-readers": "graph",
}
# The routes as a model has them; of two with one path, the first is the protocol's own.
_ROUTER = Router(
    {route.upstream: replace(route, path=route.upstream) for route in reversed(ROUTES) if route.by == "model"}.values()
)
_CONTENT: Mapping[tuple[str, str], Mapping[str, Any]] = {
    (route.method, route.upstream): DOCUMENT["paths"][route.path][route.method.lower()]["responses"]["200"]["content"]
    for route in reversed(ROUTES)
    if route.by == "model"
}


def catalog(url: str) -> Catalog:
    """The models behind ``url``; all are ready."""
    ready = State(phase="ready")
    return Catalog({name: Model(name=name, kind=kind, url=url, state=ready) for name, kind in KINDS.items()})


async def respond(call: Call) -> None:
    """Respond as the document says; a body of JSON that is none gets a 400."""
    found = _ROUTER.match(call.scope["method"], call.scope["path"])
    if isinstance(found, Missed):
        await call.answer({"error": f"{call.scope['path']} is not served", "code": "not_found"}, 404)
        return
    content = _CONTENT[found.route.method, found.route.path]
    payload: Any = {}
    if call.headers.get(b"content-type", b"").startswith(b"application/json"):
        try:
            payload = json.loads(call.body)
        except ValueError:
            error: Any = {
                "message": "the body is not JSON",
                "type": "invalid_request_error",
                "param": None,
                "code": 400,
            }
            of_v2 = {"error": "the body is not JSON", "code": "invalid_json"}
            await call.answer(of_v2 if found.route.shape == "v2" else {"type": "error", "error": error}, 400)
            return
    streams = JSON not in content or (isinstance(payload, dict) and payload.get("stream") is True)
    if EVENTS in content and streams:
        await call.start(content_type=EVENTS.encode())
        await call.end(content[EVENTS]["example"].encode())
    elif JSON in content:
        await call.answer(content[JSON]["example"])
    else:
        await call.start()
        await call.end()
